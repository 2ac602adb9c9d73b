"""Manifests of datasets and of versions read as they were written, whatever names and cells hold."""

import os
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from data.labels import Label
from data.manifest import COLUMNS, DatasetError, Scan, Split, read_manifest, write_manifest
from serving.release.digest import check
from serving.release.digest import write_manifest as write_sums
from serving.versions import VersionError
from tests.properties.bounds import bounded

CELLS = st.text(st.characters(codec="utf-8"), max_size=12)
SIZES = st.integers(0, 2**31)
SCANS = st.builds(
    Scan,
    label=st.sampled_from(Label),
    split=st.sampled_from(Split),
    width=SIZES,
    height=SIZES,
    **{name: CELLS for name in COLUMNS if name not in ("label", "split", "width", "height")},
)
NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..", "SHA256SUMS")
)


@bounded(60)  # each waits for the disk
@given(st.lists(SCANS, max_size=4))
def test_what_is_written_is_read(tmp_path: Path, scans: list[Scan]) -> None:
    write_manifest(tmp_path, scans)
    assert read_manifest(tmp_path) == scans


@bounded(150)
@given(st.text(st.characters(codec="utf-8")) | st.binary())
@example(f"{','.join(COLUMNS)}\n{'x' * 200_000}\n")
@example(f"{','.join(COLUMNS)}\na,tumor,,train,,,,,,,,{'9' * 5000},1\n")
def test_a_hostile_manifest_is_refused_in_words(tmp_path: Path, text: str | bytes) -> None:
    payload = text.encode() if isinstance(text, str) else text
    (tmp_path / "manifest.csv").write_bytes(payload)
    try:
        assert isinstance(read_manifest(tmp_path), list)
    except DatasetError as error:
        problem = str(error)
        assert "manifest.csv" in problem


@bounded(100)
@given(NAMES, st.binary(max_size=20))
@example("a\x1cb", b"")
@example("a\u2028b", b"")
@example("a\udcffb", b"")
def test_a_version_is_whole_or_is_not_written(tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / os.urandom(8).hex()
    folder.mkdir()
    try:
        (folder / name).write_bytes(content)
    except (OSError, UnicodeEncodeError):  # no name for a file at all
        return
    try:
        digest = write_sums(folder)
    except VersionError as error:
        assert "is no name for a file" in str(error)  # noqa: PT017
        return
    found = check(folder)
    assert found.is_whole
    assert found.digest == digest
    (folder / name).write_bytes(content + b"x")
    assert not check(folder).is_whole
