"""A version's manifest: every change of its files is told, and any machine can check it."""

import subprocess

import pytest

from serving.release.digest import MANIFEST, check, write_manifest
from serving.versions import VersionError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"model")
    (tmp_path / "variables" / "a file.index").write_bytes(b"")
    return tmp_path


def test_a_version_as_it_was_written_is_whole(folder):
    digest = write_manifest(folder)
    assert check(folder).is_whole
    assert check(folder).digest == digest
    assert str(check(folder)) == "whole"


def test_the_digest_tells_names_and_contents_and_nothing_else(folder, tmp_path_factory):
    first = write_manifest(folder)
    assert write_manifest(folder) == first
    (folder / "saved_model.pb").rename(folder / "other.pb")
    renamed = write_manifest(folder)
    (folder / "other.pb").write_bytes(b"Model")
    assert len({first, renamed, write_manifest(folder)}) == 3


def test_coreutils_can_check_it(folder):
    write_manifest(folder)
    checking = ["sha256sum", "--check", "--strict", "--quiet", MANIFEST]
    assert subprocess.run(checking, cwd=folder, check=False).returncode == 0
    (folder / "saved_model.pb").write_bytes(b"mode1")
    assert subprocess.run(checking, cwd=folder, capture_output=True).returncode == 1


def changed(folder):
    (folder / "saved_model.pb").write_bytes(b"mode1")


def missing(folder):
    (folder / "variables" / "a file.index").unlink()


def added(folder):
    (folder / "more.txt").touch()


def linked(folder):
    (folder / "link").symlink_to(folder / "saved_model.pb")


def garbled(folder):
    (folder / MANIFEST).write_text("nonsense\n")


def emptied(folder):
    (folder / MANIFEST).write_text("")


def binary(folder):
    (folder / MANIFEST).write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (changed, "saved_model.pb has changed"),
        (missing, "variables/a file.index is missing"),
        (added, "more.txt is not listed"),
        (linked, "link is neither a plain file nor a directory"),
        (garbled, "SHA256SUMS has a line that is no checksum"),
        (emptied, "SHA256SUMS has a line that is no checksum"),
        (binary, "SHA256SUMS is no text"),
    ],
)
def test_every_kind_of_damage_is_told(folder, damage, told):
    write_manifest(folder)
    damage(folder)
    found = check(folder)
    assert not found.is_whole
    assert found.problems == (told,)
    assert str(found) == f"DAMAGED: {told}"


def test_a_version_without_a_manifest_is_not_called_whole(folder):
    found = check(folder)
    assert found.digest is None
    assert not found.is_whole
    assert "cannot be verified" in str(found)


def test_a_path_out_of_the_version_is_never_opened(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("x")
    write_manifest(folder)
    with (folder / MANIFEST).open("a") as file:
        file.write(f"{'0' * 64}  {outside}\n")
    assert check(folder).problems == (f"{outside} is missing",)


@pytest.mark.parametrize("name", ["new\nline", "back\\slash"])
def test_a_name_that_a_manifest_cannot_hold_is_refused(folder, name):
    (folder / name).touch()
    with pytest.raises(VersionError, match="is no name for a file of a model"):
        write_manifest(folder)
