"""What fuzzing starts from, and what it has found, goes through its parser without another error."""

from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS

CASES = sorted(path for path in (Path(__file__).parent / "cases").glob("*/*") if path.is_file())


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    seeds = seeds_of(target)
    assert seeds
    for seed in seeds:
        TARGETS[target](seed)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_cases(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())
