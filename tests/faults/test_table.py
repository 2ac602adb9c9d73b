"""The table of README.md names tests that exist."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

TABLE = (Path(__file__).parent / "README.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_it_exists(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_line_names_one() -> None:
    assert len(NAMED) == sum(line.startswith("| ") for line in TABLE.splitlines()) - 2
