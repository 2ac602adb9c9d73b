"""A short soak of the real server keeps its promises, and a broken promise is told."""

import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from serving.__main__ import app
from serving.bench.askers import is_right
from serving.bench.soak import Soaked, soak
from serving.bench.usage import Usage
from serving.errors import ServingError
from serving.settings import SoakSettings
from tests.conftest import ROOT
from tests.serving.release.conftest import write_warmup

SAMPLES = ROOT / "data" / "samples"
KEPT = Soaked(
    seconds=600.0,
    rate=70.0,
    answers=42_000,
    failures=(),
    wrong=(),
    swaps=10,
    silent=(),
    percentiles_ms=(20.0, 40.0, 60.0),
    readings=(Usage(9.0, 1000, 40), Usage(99.0, 1100, 44)),
)


@pytest.mark.timeout(900)
def test_two_swaps_under_load(tmp_path, write_model):
    base = tmp_path / "models"
    for version, bias in ((3, 0.0), (5, 0.25)):
        write_warmup(write_model(base, version, bias=bias))
    console = Console(file=StringIO(), width=60)
    settings = SoakSettings(
        model_base_path=base,
        samples=SAMPLES,
        out=tmp_path / "reports",
        minutes=0.05,
        swaps=2,
        load=0.05,
    )
    assert soak(settings, console), console.file.getvalue()
    found = json.loads((settings.out / "soak.json").read_text())
    assert (found["failures"], found["wrong"], found["silent"], found["swaps"]) == ({}, [], [], 2)
    assert found["answers"] > 0
    assert len(found["readings"]) == 3  # after each swap and at the end
    assert all(one["kept"] for one in found["promises"])
    assert (settings.out / "soak.md").read_text() in console.file.getvalue()
    assert sorted(one.name for one in base.iterdir()) == ["3", "5"]  # a copy was swapped


def test_versions_that_answer_alike_are_no_test(tmp_path, write_model):
    for version in (1, 2):
        write_model(tmp_path, version)
    settings = SoakSettings(model_base_path=tmp_path, samples=SAMPLES)
    with pytest.raises(ServingError, match="answer alike: a mix of them could not be told"):
        soak(settings, Console(file=StringIO()))


def test_one_version_is_too_few(tiny_models):
    """Through the command line, whose `main` makes this exit code 1."""
    with pytest.raises(ServingError, match="holds no two versions to swap between"):
        app(["soak", "--model-base-path", str(tiny_models)], result_action="return_value")


def test_an_answer_is_right_if_it_is_that_of_the_version_it_names():
    answers = {1: np.array([0.2, 0.4], np.float32), 7: np.array([0.7, 0.4], np.float32)}
    assert is_right((1, 0, 0.20005), answers)
    assert is_right((7, 0, 0.7), answers)
    assert not is_right((1, 0, 0.7), answers)  # what the other one says
    assert not is_right((1, 1, 0.4002), answers)
    assert not is_right((2, 1, 0.4), answers)  # there never was such a version


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        ({"failures": ("UNAVAILABLE: gone",)}, "no request fails"),
        ({"wrong": ((1, 0, 0.5),)}, "every answer is its version's"),
        ({"silent": (3,)}, "every version answers"),
        ({"readings": (Usage(9, 1000, 40), Usage(99, 1101, 44))}, "memory is flat"),
        ({"readings": (Usage(9, 1000, 40), Usage(99, 1100, 45))}, "descriptors are flat"),
    ],
)
def test_a_broken_promise_is_told(broken, promise):
    assert all(kept for _, _, kept in KEPT.promises())
    found = replace(KEPT, **broken).promises()
    assert [what for what, _, kept in found if not kept] == [promise]
