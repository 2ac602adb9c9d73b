"""What is learnt from: whole splits, less what is doubtful, left out, or a copy of what is left out."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data.label_issues import LabelIssue, write_label_issues
from data.labels import Label
from data.manifest import DatasetError, Scan, Split, read_manifest, write_manifest
from training.scans import ScanSet, doubtful, load_split

SCAN = Scan(
    path="a.png",
    label=Label.TUMOR,
    source="web",
    split=Split.TRAIN,
    group="g",
    sha256="0" * 64,
    origin="a.png",
)


@pytest.fixture
def dataset(tmp_path):
    """Scans of two sources, grey 0, 10, …; the second of `web` shows the same picture as one of `clinic`."""
    rows = [
        replace(SCAN, path="0.png", group="a"),
        replace(SCAN, path="1.png", group="b", label=Label.NO_TUMOR),
        replace(SCAN, path="2.png", group="b", source="clinic", label=Label.NO_TUMOR),
        replace(SCAN, path="3.png", group="c", source="clinic"),
        replace(SCAN, path="4.png", group="d", source="clinic", flag="small_mask"),
        replace(SCAN, path="5.png", group="e", split=Split.TEST),
    ]
    for i, row in enumerate(rows):
        Image.new("RGB", (224, 224), (10 * i,) * 3).save(tmp_path / row.path)
    write_manifest(tmp_path, rows)
    return tmp_path


def paths(scans: ScanSet) -> list[str]:
    assert [image[0, 0, 0] for image in scans.images(np.arange(len(scans)))] == [
        10 * int(scan.path[0]) for scan in scans.scans
    ]
    return [scan.path for scan in scans.scans]


def test_a_split_is_taken_whole_and_alone(dataset):
    kept = load_split(dataset, Split.TRAIN, keep_doubtful=True)
    assert paths(kept) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert kept.targets.tolist() == [1, 0, 0, 1, 1]
    assert paths(load_split(dataset, Split.TEST, keep_doubtful=True)) == ["5.png"]


def test_what_the_audit_lists_is_not_learnt_from(dataset):
    issue = LabelIssue(
        path="1.png",
        sha256="0" * 64,
        source="web",
        label=Label.NO_TUMOR,
        probability=0.9,
        quality=0.1,
    )
    write_label_issues(dataset, [issue])
    kept = load_split(dataset, Split.TRAIN, keep_doubtful=False)
    assert paths(kept) == ["0.png", "2.png", "3.png"]
    assert "1.png" in paths(load_split(dataset, Split.TRAIN, keep_doubtful=True))


def test_a_source_left_out_takes_its_copies_along(dataset):
    kept = load_split(dataset, Split.TRAIN, keep_doubtful=False, without=["web"])
    assert paths(kept) == ["3.png"], "2.png shows the picture of 1.png"
    left_out = load_split(dataset, Split.TRAIN, Split.TEST, keep_doubtful=False, only=["web"])
    assert paths(left_out) == ["0.png", "1.png", "5.png"]


def test_a_source_left_out_takes_the_patients_of_its_copies_along(dataset):
    rows = read_manifest(dataset)
    rows[2:4] = [replace(row, patient="anna") for row in rows[2:4]]
    rows[1] = replace(rows[1], patient="bert")
    rows[4] = replace(rows[4], flag="", patient="bert")
    write_manifest(dataset, rows)
    kept = load_split(dataset, Split.TRAIN, keep_doubtful=False, without=["web"])
    assert paths(kept) == ["4.png"], "3.png is of 2.png's patient; clinic's bert is another man"


def test_a_manifest_in_another_order_still_leads_to_its_pixels(dataset):
    before = paths(load_split(dataset, Split.TRAIN, keep_doubtful=True))
    write_manifest(dataset, reversed(read_manifest(dataset)))
    assert paths(load_split(dataset, Split.TRAIN, keep_doubtful=True)) == before[::-1]


@pytest.mark.parametrize("which", ["without", "only"])
def test_a_source_that_is_not_there_is_named(dataset, which):
    with pytest.raises(DatasetError, match="no source called moon"):
        load_split(dataset, Split.TRAIN, keep_doubtful=False, **{which: ["moon"]})


def test_nothing_left_is_an_error(dataset):
    with pytest.raises(DatasetError, match="holds no such scans in val"):
        load_split(dataset, Split.VAL, keep_doubtful=False)


def test_flags_make_a_label_doubtful():
    flags = ["", "small_mask", "ct_suspect;other", "other"]
    scans = [replace(SCAN, flag=flag) for flag in flags]
    assert [doubtful(scan) for scan in scans] == [False, True, True, False]


def test_tempering_sets_how_much_a_large_source_counts(scan_set):
    pixels = np.zeros((100, 224, 224, 3), np.uint8)
    some = scan_set(pixels, [True] * 100, sources=["large"] * 90 + ["small"] * 10)
    for tempering, share in ((0.0, 0.9), (1.0, 0.5), (0.5, 0.75)):
        weights = some.weights(tempering=tempering)
        assert weights[:90].sum() / weights.sum() == pytest.approx(share)
