"""Versions from an object store: a server never sees a part of one, nor a label before its version."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.docker.tools import DOCKER, tool

SCRIPT = DOCKER / "kubernetes" / "components" / "object-store" / "fetch_versions.sh"
CONTENT = b"a graph\n" * 1000


def write_version(folder: Path, *, digests: bool = True) -> None:
    """A version as far as the script is concerned; without digests its upload is not over."""
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/data"):
        (folder / name).write_bytes(CONTENT)
    if digests:
        write_digests(folder)


def write_digests(folder: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    names = ("saved_model.pb", "variables/data")
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name in names))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """What the object store holds; rclone treats a folder as it does a bucket."""
    write_version(tmp_path / "store" / "1")
    return tmp_path / "store"


@pytest.fixture
def fetching(store: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder that is kept as the store is."""
    rclone = tool("rclone")
    folder = tmp_path / "models"
    variables = {"PATH": f"{Path(rclone).parent}:{os.environ['PATH']}", "RCLONE_CONFIG": ""}
    command = ["sh", str(SCRIPT), str(store), str(folder), "0.1"]
    with (
        (tmp_path / "log.txt").open("wb") as log,
        subprocess.Popen(command, env=os.environ | variables, stderr=log) as process,
    ):
        try:
            yield folder
            assert process.poll() is None
        finally:
            process.terminate()
            assert process.wait(30) == 0


@pytest.fixture
def settled(store: Path, fetching: Path) -> Callable[[], None]:
    """A function that waits for a round that began after its call: one that brings what is new at its end."""

    def wait() -> None:
        token = f"# {os.urandom(8).hex()}\n"
        (store / "models.config").write_text(token)
        config = fetching / "models.config"
        eventually(lambda: config.exists() and config.read_text() == token, "a round ended", 60)

    return wait


def versions(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.isdigit())


def test_versions_come_and_go_as_in_the_store(store, fetching, settled):
    settled()
    assert versions(fetching) == ["1"]
    write_version(store / "2")
    settled()
    settled()  # its directory may have been listed before it was whole
    assert versions(fetching) == ["1", "2"]
    assert (fetching / "2" / "variables" / "data").read_bytes() == CONTENT
    shutil.rmtree(store / "1")
    settled()
    eventually(lambda: versions(fetching) == ["2"], "version 1 went", 60)


@pytest.mark.parametrize("damage", ["no digests yet", "half a file", "a file too few"])
def test_a_version_that_is_not_whole_does_not_come_nor_does_its_label(store, fetching, damage):
    eventually(lambda: fetching.exists() and versions(fetching) == ["1"], "version 1 came", 60)
    half = store / "half"  # no number: not looked at until it is renamed
    write_version(half, digests=damage != "no digests yet")
    if damage == "half a file":
        (half / "saved_model.pb").write_bytes(CONTENT[:100])
    if damage == "a file too few":
        (half / "variables" / "data").unlink()
    half.rename(store / "2")
    (store / "models.config").write_text("# names version 2")
    tried = fetching / ".incoming" / "2"
    eventually(tried.exists, "version 2 was tried", 60)
    assert versions(fetching) == ["1"]
    assert not (fetching / "models.config").exists()
    # The upload goes on, and ends.
    for name in ("saved_model.pb", "variables/data"):
        (store / "2" / name).write_bytes(CONTENT)
    write_digests(store / "2")
    eventually(lambda: versions(fetching) == ["1", "2"], "version 2 came", 60)
    eventually((fetching / "models.config").exists, "its label came", 60)


@pytest.mark.parametrize("left", ["an empty bucket", "no bucket"])
def test_a_store_that_is_away_takes_nothing_away(store, fetching, tmp_path, left):
    eventually(lambda: fetching.exists() and versions(fetching) == ["1"], "version 1 came", 60)
    store.rename(tmp_path / "elsewhere")
    if left == "an empty bucket":
        store.mkdir()
    before = complaints(tmp_path)
    eventually(lambda: complaints(tmp_path) >= before + 2, "two rounds found nothing", 60)
    assert versions(fetching) == ["1"]


def complaints(folder: Path) -> int:
    """Rounds that did not end well."""
    return (folder / "log.txt").read_text().count("not everything could be fetched")
