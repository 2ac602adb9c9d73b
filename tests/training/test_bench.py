"""The benchmark measures what it says; how fast this machine is, is not tested."""

from io import StringIO

import pytest
from rich.console import Console

from training.bench import bench
from training.errors import EvaluationError
from training.settings import BenchSettings


def test_both_sides_of_each_ratio_are_measured(models, dataset):
    console = Console(file=StringIO(), width=200)
    settings = BenchSettings(model_base_path=models, data=dataset, rounds=2)
    ratios = bench(settings, console)
    assert [len(ratios[name]) for name in ("cost", "pipeline")] == [2, 2]
    assert all(ratio > 0 for rounds in ratios.values() for ratio in rounds)
    shown = console.file.getvalue()
    assert "VGG19" in shown
    assert "in memory" in shown


def test_an_empty_base_path_is_an_error(tmp_path):
    with pytest.raises(EvaluationError, match="holds no version to measure"):
        bench(BenchSettings(model_base_path=tmp_path), Console(file=StringIO()))
