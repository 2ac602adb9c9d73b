"""The manifest of a dataset, and the hash that names it."""

from dataclasses import replace
from pathlib import Path

import pytest

from data.labels import Label
from data.manifest import DatasetError, Scan, Split, dataset_hash, read_manifest, write_manifest

SCAN = Scan(
    path="train/yes/a_1.png",
    label=Label.TUMOR,
    source="a",
    split=Split.TRAIN,
    group="g1",
    patient='O"Neill, père',
    sha256="00ff",
    origin="yes/1.jpg",
)


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    scans = [SCAN, replace(SCAN, path="test/no/b.png", label=Label.NO_TUMOR, split=Split.TEST)]
    write_manifest(tmp_path, scans)
    assert read_manifest(tmp_path) == scans
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.csv"]


def test_a_missing_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no manifest\.csv\. Run `python -m data prepare"):
        read_manifest(tmp_path)


def test_a_foreign_manifest_is_told_from_ours(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label\nyes/1.jpg,yes\n")
    with pytest.raises(DatasetError, match="is not the manifest of a prepared dataset: it lacks"):
        read_manifest(tmp_path)


def test_datasets_from_before_the_quality_checks_can_be_read(tmp_path: Path) -> None:
    checked = replace(SCAN, quality="low_contrast", width=300, height=200)
    write_manifest(tmp_path, [checked])
    assert read_manifest(tmp_path) == [checked]
    path = tmp_path / "manifest.csv"
    text = path.read_text()
    path.write_text(text.replace(",quality,width,height", "").replace(",low_contrast,300,200", ""))
    assert read_manifest(tmp_path) == [SCAN]


def test_a_malformed_row_is_named(tmp_path: Path) -> None:
    write_manifest(tmp_path, [SCAN])
    path = tmp_path / "manifest.csv"
    path.write_text(path.read_text().replace(",train,", ",training,"))
    with pytest.raises(DatasetError, match=r"line 2: 'training' is not a valid Split"):
        read_manifest(tmp_path)


def test_the_hash_follows_what_a_model_learns_from() -> None:
    other = replace(SCAN, sha256="11", group="g2")
    known = dataset_hash([SCAN, other])
    assert known == dataset_hash([other, replace(SCAN, path="elsewhere.png", flag="x")])
    for changed in (
        replace(SCAN, sha256="22"),
        replace(SCAN, label=Label.NO_TUMOR),
        replace(SCAN, split=Split.VAL),
        replace(SCAN, group="g9"),
    ):
        assert dataset_hash([changed, other]) != known
