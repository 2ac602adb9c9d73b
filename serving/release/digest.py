"""What a version consists of, to the byte: `SHA256SUMS` inside it.

The format is that of coreutils, so that any machine can check a version, without this package too:

    cd models/brain_tumor/3 && sha256sum --check --strict SHA256SUMS
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serving.versions import VersionError

MANIFEST: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
#: Characters that `sha256sum` escapes in names, or that are not UTF-8, and that no file of a model needs.
_ODD: Final = re.compile("[\\\\\r\n\ud800-\udfff]")


@dataclass(frozen=True)
class Integrity:
    """How the files of a version compare with its manifest.

    Attributes:
        digest: SHA-256 of the manifest, so of names and contents of all files; None without one.
        problems: one phrase each for what is changed, missing, or not listed; empty if all is well.
    """

    digest: str | None
    problems: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every file is there as it was published, and no other."""
        return self.digest is not None and not self.problems

    def __str__(self) -> str:
        if self.digest is None:
            return f"no {MANIFEST}: published without a digest, cannot be verified"
        if self.problems:
            return "DAMAGED: " + "; ".join(self.problems)
        return "whole"


def write_manifest(folder: Path) -> str:
    """Write the manifest of all files in a directory; returns its digest.

    Raises:
        VersionError: the directory holds something else than plain files and directories.
    """
    text = "".join(f"{sha256(folder / name)}  {name}\n" for name in list_files(folder))
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return _digest(text)


def check(folder: Path) -> Integrity:
    """Compare a version with its manifest; reads every byte of it."""
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Integrity(None)
    except UnicodeDecodeError:
        return Integrity("unreadable", (f"{MANIFEST} is no text",))
    listed = _entries(text)
    if listed is None:
        return Integrity(_digest(text), (f"{MANIFEST} has a line that is no checksum",))
    try:
        present = list_files(folder)
    except VersionError as error:
        return Integrity(_digest(text), (str(error),))
    problems = [f"{name} is missing" for name in listed if name not in present]
    for name in present:
        if name not in listed:
            problems.append(f"{name} is not listed")
        elif sha256(folder / name) != listed[name]:
            problems.append(f"{name} has changed")
    return Integrity(_digest(text), tuple(problems))


def stated(folder: Path) -> dict[str, str] | None:
    """Checksum by file as a version's manifest has it: none of one that cannot be read, None without any."""
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return {}
    return _entries(text) or {}


def list_files(folder: Path) -> list[str]:
    """Files below a directory but for the manifest: sorted paths relative to it.

    Raises:
        VersionError: there is a link or a special file, whose content is not the version's own, or a
            name that the manifest cannot hold.
    """
    names = []
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise VersionError(f"{relative} is neither a plain file nor a directory")
            if _ODD.search(relative):
                raise VersionError(f"{relative!r} is no name for a file of a model")
            if name in files and relative != MANIFEST:
                names.append(relative)
    return sorted(names)


def size(folder: Path) -> int:
    """Bytes of all files below a directory."""
    return sum((Path(parent) / n).lstat().st_size for parent, _, ns in os.walk(folder) for n in ns)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(text: str) -> dict[str, str] | None:
    """Checksum by file; None if there is a line that is no checksum, or no line at all."""
    lines = [_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    return None if None in lines else {line[2]: line[1] for line in lines if line}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
