"""What files are read as: studies, their slices, and files that are refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data.imaging import ScanError
from data.planes import Plane
from data.quality import Finding

#: Of one medical file or archive: a series of 500 slices of 512 × 512 in 16 bits, uncompressed. Stills
#: stay under `data.imaging.MAX_FILE_BYTES`, in archives too.
MAX_STUDY_BYTES: Final = 256 * 2**20


class StudyKind(StrEnum):
    """What a study is."""

    IMAGE = "image"
    VOLUME = "volume"


@dataclass(frozen=True)
class ScanFile:
    """A file as it was sent.

    Attributes:
        name: its name, which may say how to read it, but never that it can be read.
        payload: the whole file.
    """

    name: str
    payload: bytes


@dataclass(frozen=True)
class ScanSlice:
    """One slice, ready for the model.

    Attributes:
        image: uint8 `[224, 224, 3]`, RGB, letterboxed.
        findings: what is doubtful about it as a scan.
        empty: a slice of a volume that shows air, at its ends; do not ask the model about it.
    """

    image: NDArray[np.uint8]
    findings: tuple[Finding, ...] = ()
    empty: bool = False


@dataclass(frozen=True)
class Note:
    """What was left out or assumed in reading a study.

    Attributes:
        code: stable machine-readable reason.
        message: one sentence for who sent it.
    """

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """One image, or the slices of one volume in order.

    Attributes:
        kind: image or volume.
        file: number of the file it came from, the first one of a series of files; counted from 0.
        member: its path inside that file where that is an archive.
        slices: at least one.
        plane: of the slices, where the file tells.
        spacing_mm: from slice to slice, where the file tells.
        notes: what was left out or assumed.
    """

    kind: StudyKind
    file: int
    member: str | None = None
    slices: tuple[ScanSlice, ...]
    plane: Plane | None = None
    spacing_mm: float | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RefusedFile:
    """A file, or one member of an archive, that is no scan.

    Attributes:
        file: its number, counted from 0.
        member: its path inside an archive.
        error: why; a sentence for who sent it.
    """

    file: int
    member: str | None = None
    error: ScanError

    def __post_init__(self) -> None:
        """Keep the sentence alone: frames and causes hold the file, and may quote what is in it."""
        self.error.__traceback__ = self.error.__cause__ = self.error.__context__ = None
