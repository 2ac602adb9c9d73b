"""From files as somebody has them to studies as the model reads them: the one way in for page and API."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from data.imaging import ScanError, decode_scan, letterbox
from data.quality import Finding, check_quality


class StudyKind(StrEnum):
    """What a study is."""

    IMAGE = "image"
    VOLUME = "volume"


class Plane(StrEnum):
    """Orientation of the slices of a volume."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


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
        empty: nothing but air, as at the ends of a volume; not worth asking a model about.
    """

    image: NDArray[np.uint8]
    findings: tuple[Finding, ...] = ()
    empty: bool = False


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
    """

    kind: StudyKind
    file: int
    member: str | None = None
    slices: tuple[ScanSlice, ...]
    plane: Plane | None = None
    spacing_mm: float | None = None


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


def read_studies(files: Sequence[ScanFile]) -> Iterator[Study | RefusedFile]:
    """Read files one after another; one that cannot be read yields its reason, and the rest goes on.

    Args:
        files: images.
    """
    for number, file in enumerate(files):
        try:
            image = decode_scan(file.payload)
            findings = tuple(check_quality(image))
            one = ScanSlice(letterbox(image), findings)
        except ScanError as error:
            yield RefusedFile(file=number, error=error)
        else:
            yield Study(kind=StudyKind.IMAGE, file=number, slices=(one,))
