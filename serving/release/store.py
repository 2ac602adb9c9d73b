"""A model's base path: the versions in it, and the state that keeps changes of them safe.

    models/brain_tumor/
      1/  2/  4/           versions: read-only, never edited, their numbers never used again
      models.config        which versions serve, and their labels, if any (`release.labels`)
      .versions/           no number, so TensorFlow Serving ignores it
        lock               held for the moment of each change
        highest            highest number ever given out
        staging/5/         being published: its publisher holds `lock`, and `version/` becomes 5
        withdrawn/3/       rolled back; `restore` brings it back
        trash/1/           pruned, being deleted

The state is inside the base path since a rename is atomic only within one file system, and the base path
may be a mount of its own. Every change is one rename: a kill -9, a full disk or a power cut leaves what
was before or what was meant, never something between. What a killed command leaves in `staging` or
`trash` is removed by the next one; the kernel tells the living from the dead by their locks.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from serving.release.digest import write_manifest
from serving.release.disk import is_locked, lock, move, settle, write_atomically
from serving.versions import (
    SAVED_MODEL,
    PublishError,
    VersionError,
    is_version_name,
    list_versions,
)

STATE: Final = ".versions"
#: Within a folder of `staging`: the directory that becomes the version.
_VERSION: Final = "version"


class Store:
    """One base path. Methods that change something are called within `exclusive`."""

    def __init__(self, base: Path) -> None:
        """Look at an existing base path.

        Raises:
            VersionError: it is no folder.
        """
        if not base.is_dir():
            raise VersionError(
                f"{base} is not a folder. Name the one that holds the version directories, "
                "for example models/brain_tumor."
            )
        self.base = base
        self._state = base / STATE
        self._highest = self._state / "highest"
        self._staging, self._withdrawn, self._trash = (
            self._state / name for name in ("staging", "withdrawn", "trash")
        )

    def path(self, version: int) -> Path:
        """Directory of a version in service."""
        return self.base / str(version)

    def withdrawn_path(self, version: int) -> Path:
        """Directory of a version that was rolled back."""
        return self._withdrawn / str(version)

    def versions(self) -> list[int]:
        """Versions that a server sees, ascending."""
        return list_versions(self.base)

    def withdrawn(self) -> list[int]:
        """Versions that were rolled back, ascending."""
        return list_versions(self._withdrawn)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep every other command out for the moment of a change; clears what killed ones left.

        Raises:
            VersionError: another command holds the lock too long.
        """
        # All of the state's folders, so that a rollback needs no space when the disk is full.
        for folder in (self._staging, self._withdrawn, self._trash):
            folder.mkdir(parents=True, exist_ok=True)
        with lock(self._state / "lock"):
            for left in self._trash.iterdir():
                shutil.rmtree(left, ignore_errors=True)
            for left in self._staging.iterdir():
                if not is_locked(left / "lock"):
                    shutil.rmtree(left, ignore_errors=True)
            yield

    def highest(self) -> int:
        """The highest number ever used here, also by what is no version, or is gone.

        Raises:
            VersionError: the file that knows cannot be read.
        """
        folders = (self.base, self._withdrawn)
        names = [entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()]
        # "007" is no version, but would clash with 7.
        numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
        return max([*numbers, self._remembered()])

    def reserve(self) -> int:
        """Use up the next number; it is gone even if nothing is published under it."""
        version = self.highest() + 1
        self._remember(version)
        return version

    @contextmanager
    def stage(self, version: int) -> Iterator[Path]:
        """An empty folder for a version in the making; it goes with the block, or with its process.

        Called within `exclusive`, which may end before the block does.
        """
        folder = self._staging / str(version)
        folder.mkdir()
        try:
            with lock(folder / "lock"):
                (folder / _VERSION).mkdir()
                yield folder / _VERSION
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, staged: Path, version: int) -> None:
        """Put a finished folder in service."""
        move(staged, self.path(version))

    def withdraw(self, version: int) -> None:
        """Take a version out of every server's sight; needs no disk space."""
        move(self.path(version), self.withdrawn_path(version))

    def restore(self, version: int) -> None:
        """Bring a withdrawn version back under its own number: it is the same one, to the byte."""
        move(self.withdrawn_path(version), self.path(version))

    def discard(self, path: Path) -> None:
        """Delete a version for good. It disappears whole first, so that no server sees half of it."""
        # Any other leaves a higher one that bears witness, and the disk may be full.
        if int(path.name) == self.highest():
            self._remember(int(path.name))
        doomed = self._trash / path.name
        move(path, doomed)
        shutil.rmtree(doomed)

    def _remembered(self) -> int:
        if not self._highest.exists():
            return 0
        text = self._highest.read_text(errors="replace").strip()
        if not is_version_name(text):
            raise VersionError(
                f"{self._highest} holds no number. Write the highest version number ever used "
                "into it; lower ones would be given out a second time."
            )
        return int(text)

    def _remember(self, version: int) -> None:
        if self._remembered() < version:
            write_atomically(self._highest, f"{version}\n")


@contextmanager
def new_version(base: Path) -> Iterator[tuple[Path, int]]:
    """Fill a folder that becomes the next version when the block ends well.

    The base path is made if it does not exist. Whatever happens, a server never sees part of a version.

    Yields:
        The folder to write into, invisible to a server, and the version's number, which is used up
        from here on.

    Raises:
        PublishError: no model was written, or the disk refuses (it is full, say).
        VersionError: another command holds the lock too long.
    """
    with ExitStack() as stack:
        with disk_errors(base):
            base.mkdir(parents=True, exist_ok=True)
            store = Store(base)
            with store.exclusive():
                version = store.reserve()
                folder = stack.enter_context(store.stage(version))
        yield folder, version
        if not (folder / SAVED_MODEL).is_file():
            raise PublishError(f"No {SAVED_MODEL} was written for version {version}.")
        with disk_errors(base):
            write_manifest(folder)
            settle(folder)
            with store.exclusive():
                store.add(folder, version)


@contextmanager
def disk_errors(base: Path) -> Iterator[None]:
    """Say in a sentence what the disk refused on the way to a new version."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise PublishError(f"Nothing was published in {base}: {reason}.") from error
