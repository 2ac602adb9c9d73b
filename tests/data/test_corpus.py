"""The real collections, where they are at hand: `BRAIN_TUMOR_CORPUS` is the folder of both."""

import os
from collections import Counter
from pathlib import Path

import pytest

from data.manifest import read_manifest
from data.prepare import PrepareSettings, prepare
from data.report import describe


@pytest.mark.corpus
@pytest.mark.skipif("BRAIN_TUMOR_CORPUS" not in os.environ, reason="BRAIN_TUMOR_CORPUS is not set")
@pytest.mark.timeout(900)
def test_the_published_dataset_has_no_leak(tmp_path: Path, console) -> None:
    settings = PrepareSettings(out=tmp_path / "v", hold_out=["examples"])
    record = prepare([Path(os.environ["BRAIN_TUMOR_CORPUS"])], settings, console)
    report = describe(tmp_path / "v")
    assert report.crossing == []
    assert record["found"] == record["prepared"] + record["duplicates"] + record["rejected"]
    assert report.rejects == {
        "blank": 14,
        "wide_border": 1,
        "few_grey_levels": 1,
        "low_contrast": 1,
    }
    # Crops and turns that correlation alone left in different groups.
    assert record["of_these_by_registration"] >= 30
    scans = read_manifest(tmp_path / "v")
    # Look-alike slices must not chain patients of the web and figshare sources into one group.
    sizes = Counter(scan.group for scan in scans if scan.source != "tcga_lgg")
    assert max(sizes.values()) <= 12
    for split, share in {"train": 0.70, "val": 0.15, "test": 0.15}.items():
        assert abs(sum(scan.split == split for scan in scans) / len(scans) - share) < 0.03
