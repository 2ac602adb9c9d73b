"""The measurement of duplicates counts what is there: pairs stated, pairs found, copies recognised."""

import json
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from data.__main__ import main
from data.manifest import DatasetError
from data.recall import ALTERATIONS, PairCount, RecallSettings, measure


@pytest.fixture
def described(pile: Path) -> Path:
    """The pile and two more files: a mirrored copy that is stated, and a turned one that is not."""
    with Image.open(pile / "no" / "mni152_c50.png") as image:
        ImageOps.mirror(image).save(pile / "no" / "mirror.png")
        image.rotate(12, Image.Resampling.BICUBIC).save(pile / "no" / "turned.png")
    groups = {"mni152_c50": "same", "mirror": "same", "mni152_s45": "other", "turned": "alone"}
    rows = [
        f"no/{stem}.png,{group},{'someone' if stem == 'mni152_s45' else ''}\n"
        for stem, group in groups.items()
    ]
    series = "no/colin27_a50.png,colin,colin\nno/ixi012_a60.png,colin,colin\n"  # slices of a person
    (pile / "manifest.csv").write_text("path,group,patient\n" + "".join(rows) + series)
    return pile


def test_pairs_and_copies_are_counted(described: Path, console) -> None:
    recall = measure([described], RecallSettings(sample=2), console)
    # Found: the original, its mirror image and the turned copy; stated: the first two.
    assert recall.pairs["pile"] == PairCount(scans=4, stated=1, found=3, both=1)
    assert recall.pairs["all"] == recall.pairs["pile"]
    assert recall.copies.keys() == ALTERATIONS.keys()
    for name in ("mirrored", "quarter turn", "JPEG, quality 30"):
        assert (recall.copies[name].copies, recall.copies[name].correlated) == (2, 2)
    assert (recall.copies["turned by 10°"].found, recall.copies["turned by 10°"].astray) == (2, 0)


def test_the_command_prints_and_writes(described: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "figures" / "recall.json"
    assert main(["duplicates", str(described), "--sample", "1", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "precision" in printed
    assert "33.3%" in printed  # one of the three pairs found is stated
    assert json.loads(out.read_text())["pairs"]["all"]["found"] == 3


def test_without_stated_groups_there_is_nothing_to_measure(pile: Path, console) -> None:
    with pytest.raises(DatasetError, match="No manifest states which scans show one picture"):
        measure([pile], RecallSettings(), console)
