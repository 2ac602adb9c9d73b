"""The table that the page hands out: read back as it was meant, and no cell a formula."""

import csv
import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.bounds import bounded
from tests.properties.node import call, needs_node

NAMES = st.text(st.characters(codec="utf-8"), max_size=12) | st.tuples(
    st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n", '"', "'", ",", "|"]),
    st.sampled_from(["1+1", "cmd|' /C calc'!A0", '"', "\r\n=1", "a,b"]),
).map("".join)


@needs_node
@bounded(8)
@given(st.lists(NAMES, min_size=20, max_size=100))
def test_names_of_files_are_neither_formulas_nor_lost(tmp_path: Path, names: list[str]) -> None:
    rows = [{"name": name, "error": {"code": "empty", "message": name}} for name in names]
    table = call(tmp_path, "downloads.js", "page.csvOf({ all: given }, 'None.')", rows)
    read = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"), newline="")))
    assert len(read) == len(names)
    for row, name in zip(read, names, strict=True):
        for cell in (row["file"], row["error"]):
            assert cell.removeprefix("'") == name.removeprefix("'")
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
