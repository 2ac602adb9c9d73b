"""A full disk, a real one: a tmpfs of fixed size. Needs the right to mount; skipped elsewhere."""

import subprocess
from pathlib import Path

import pytest

from serving.release.digest import check
from serving.release.store import Store
from serving.versions import PublishError

KILOBYTE = 1024


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """An empty file system of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, *, leave: int = 0) -> None:
    """Fill the disk up, but for some bytes."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - leave))


def test_publishing_fails_in_a_sentence_and_leaves_nothing(small_disk, command, candidate):
    base = small_disk / "models"
    base.mkdir()
    fill(small_disk, leave=100 * KILOBYTE)  # room for all but the last file
    done = command("publish", candidate, base)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"python -m serving: Nothing was published in {base}: No space left on device."
    )
    assert Store(base).versions() == []
    assert list((base / ".versions" / "staging").iterdir()) == []


@pytest.mark.parametrize("pages", range(8))
def test_wherever_the_space_ends_versions_stay_whole(small_disk, publish_stub, pages):
    base = small_disk / "models"
    publish_stub(base)
    fill(small_disk, leave=pages * 4 * KILOBYTE)
    try:
        expected = [1, publish_stub(base)]
    except (PublishError, OSError) as error:  # OSError where the stub's own writing fails
        told, expected = str(error), [1]
    else:
        told = ""
    assert told == "" or "No space left" in told
    assert Store(base).versions() == expected
    for version in expected:
        assert check(base / str(version)).is_whole
    (small_disk / "filler").unlink()
    assert publish_stub(base) > expected[-1]


def test_what_makes_room_or_goes_back_needs_none(small_disk, publish_stub, command):
    base = small_disk / "models"
    for _ in range(4):
        publish_stub(base)
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "more").write_bytes(b"\0" * 4096)
    assert command("rollback", base).returncode == 0
    assert command("restore", base, 4).returncode == 0
    assert command("rollback", base, "--to", "2").returncode == 0
    assert command("prune", base, "--keep", "1", "--withdrawn").returncode == 0
    assert (Store(base).versions(), Store(base).withdrawn()) == ([2], [])
    assert publish_stub(base) == 5


def test_a_config_is_kept_when_its_successor_does_not_fit(small_disk, publish_stub, command):
    base = small_disk / "models"
    publish_stub(base)
    publish_stub(base)
    assert command("label", base, "stable", 1).returncode == 0
    before = (base / "models.config").read_text()
    fill(small_disk)
    done = command("label", base, "canary", 2)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (base / "models.config").read_text() == before
