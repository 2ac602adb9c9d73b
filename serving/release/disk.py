"""Changes of the file system that survive a power cut, and a lock that does not survive its holder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from serving.versions import VersionError

#: Commands hold a lock for the moment of a change only; one that is held longer hangs, or was stopped.
LOCK_TIMEOUT_S: Final = 30.0
_LOCK_RETRY_S: Final = 0.05


@contextmanager
def lock(path: Path, *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold a lock file exclusively; the kernel lets go of it when its holder dies, however.

    Raises:
        VersionError: somebody else holds it for longer than the time given.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise VersionError(
                    f"Another command has held {path} for {timeout_s:g} s. Nothing was changed; "
                    "see what it is doing, then try again."
                )
            time.sleep(_LOCK_RETRY_S)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock file."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content: whoever reads sees the old or the new one, whole.

    The caller holds a lock: two writers would share the temporary file.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename a directory for good; it must not exist at the target.

    Raises:
        FileExistsError: it does. (The system call itself would replace an empty directory.)
    """
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists")
    source.rename(target)
    sync_directory(target.parent)
    sync_directory(source.parent)


def settle(folder: Path) -> None:
    """Make all files of a directory readable by everybody, writable by nobody, and force them to disk.

    Otherwise a power cut after the rename could leave a version of empty files, and a server that runs
    as somebody else could not read what a careful umask wrote.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            path.chmod(0o444)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        Path(parent).chmod(0o755)
        sync_directory(Path(parent))


def sync_directory(folder: Path) -> None:
    """Force the names in a directory to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
