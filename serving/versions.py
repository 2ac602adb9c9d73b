"""Version directories of a model: list them, and add one that appears whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAVED_MODEL = "saved_model.pb"


class PublishError(RuntimeError):
    """A version was not published; nothing of it is left behind."""


def list_versions(base: Path) -> list[int]:
    """Servable versions below a base path, ascending.

    A version is a directory named by a positive integer without leading zeros that holds a
    `saved_model.pb`; TensorFlow Serving ignores everything else silently, and so does this.
    """
    if not base.is_dir():
        return []
    return sorted(
        int(entry.name)
        for entry in base.iterdir()
        if _is_version_name(entry.name) and (entry / SAVED_MODEL).is_file()
    )


def next_version(base: Path) -> int:
    """The number after the highest ever used as a name here, also by a directory without a model."""
    taken = [int(entry.name) for entry in base.iterdir() if entry.name.isdigit()]
    return max(taken, default=0) + 1


@contextmanager
def new_version(base: Path) -> Iterator[tuple[Path, int]]:
    """Fill a temporary directory that becomes the next version when the block ends well.

    Yields:
        The directory to write into, invisible to a server, and the version's number.

    Raises:
        PublishError: the number was taken meanwhile by another publisher, or no model was written.
    """
    base.mkdir(parents=True, exist_ok=True)
    version = next_version(base)
    folder = Path(tempfile.mkdtemp(prefix=f".tmp-{version}-", dir=base))
    try:
        yield folder, version
        if not (folder / SAVED_MODEL).is_file():
            raise PublishError(f"No {SAVED_MODEL} was written for version {version}.")
        folder.chmod(0o755)  # mkdtemp lets nobody else read, and a server runs as somebody else
        _sync(folder)
        target = base / str(version)
        try:
            folder.rename(target)
        except OSError as error:
            raise PublishError(
                f"Version {version} appeared in {base} meanwhile. Publish again for the next number."
            ) from error
        _sync_directory(base)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_version_name(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")


def _sync(folder: Path) -> None:
    """Force a directory's content to disk, so that a power cut leaves no version of empty files."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with (Path(parent) / name).open("rb") as file:
                os.fsync(file.fileno())
        _sync_directory(Path(parent))


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
