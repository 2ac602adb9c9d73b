"""Which files are scans, in each layout, and what manifests add."""

from pathlib import Path

import pytest

from data.labels import Label
from data.manifest import DatasetError, Split
from data.sources import find_scans


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_layouts_and_what_is_passed_over(tmp_path: Path) -> None:
    root = tmp_path / "hospital"
    touch(
        root,
        "yes/1.png",
        "no/ward/deep/2.jpg",
        "train/Yes/3.png",
        "more/scans/no/4.png",
        "yes/README.md",
        "yes/.DS_Store",
        "yes/masks/1.png",
        "masks/yes/1.png",
        "no/notes.txt",
        "5.png",
    )
    found = {one.origin: (one.label, one.source) for one in find_scans(root)}
    assert found == {
        "yes/1.png": (Label.TUMOR, "hospital"),
        "no/ward/deep/2.jpg": (Label.NO_TUMOR, "ward"),
        "train/Yes/3.png": (Label.TUMOR, "hospital"),
        "more/scans/no/4.png": (Label.NO_TUMOR, "more"),
        "no/notes.txt": (Label.NO_TUMOR, "hospital"),
    }


@pytest.mark.parametrize(
    ("manifest", "prefix"),
    [
        ("manifest.csv", "scans/"),
        ("manifest.csv", ""),
        ("scans/manifest.csv", ""),
        ("scans/manifest.csv", "scans/"),
    ],
)
def test_a_manifest_describes_scans_wherever_its_paths_start(
    tmp_path: Path, manifest: str, prefix: str
) -> None:
    touch(tmp_path, "scans/yes/a/1.png", "scans/no/a/2.png")
    (tmp_path / manifest).write_text(
        "path,group,patient,split,sequence,flag,label,sha256\n"
        f"{prefix}yes/a/1.png,g7,anna,val,flair,odd;,yes,abc\n"
    )
    described, plain = sorted(find_scans(tmp_path), key=lambda one: one.label, reverse=True)
    assert (described.group, described.patient, described.split) == ("g7", "anna", Split.VAL)
    assert (described.sequence, described.flag) == ("flair", "odd")
    assert (described.stated_label, described.stated_sha256) == (Label.TUMOR, "abc")
    assert described.catalogue == str(tmp_path / manifest)
    assert (plain.group, plain.split, plain.catalogue) == ("", None, "")


def test_a_split_in_folder_names_is_not_kept(tmp_path: Path) -> None:
    touch(tmp_path, "train/yes/1.png", "test/no/2.png")
    assert [one.split for one in find_scans(tmp_path)] == [None, None]


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        find_scans(tmp_path / "nowhere")
    touch(tmp_path, "1.png")
    with pytest.raises(DatasetError, match=r"no class folders\. Put tumours in `yes/`"):
        find_scans(tmp_path)
    (tmp_path / "yes").mkdir()
    with pytest.raises(DatasetError, match=r"class folders .* are empty"):
        find_scans(tmp_path)
    touch(tmp_path, "yes/1.png")
    (tmp_path / "manifest.csv").write_text("file\nyes/1.png\n")
    with pytest.raises(DatasetError, match="no column `path`"):
        find_scans(tmp_path)
    (tmp_path / "manifest.csv").write_text("path,split\nyes/1.png,later\n")
    with pytest.raises(DatasetError, match="proposes the split 'later'"):
        find_scans(tmp_path)
