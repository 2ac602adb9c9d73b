"""Slices that nobody scanned: sagittal and coronal cuts through stacks of axial slices.

In public collections sagittal and coronal slices mostly show tumours, and a network learns the plane. Where
a source holds whole volumes, slice by slice and with outlines, the other planes can be cut from them (multi-
planar reformatting), with and without a tumour from one scanner. They are coarse from slice to slice.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data.manifest import Scan
from training.head import AIR
from training.scans import ScanSet, read_outline

#: Fewer slices are no volume to cut through.
_SLICES: Final = 14
#: Height of an adult head that a stack covers, as a share of the field of view of its slices.
_HEIGHT: Final = (0.58, 0.72)
#: A tumour must have this many pixels of a cut before it is stretched to its height.
_CUT_TUMOUR: Final = 30
#: A cut must go through this share of the tissue of the fullest one.
_FULL: Final = 0.45


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A stack of slices.

    Attributes:
        slices: int `[Z]`, scans of the set, in the order of their numbers.
        outlines: packed bits of bool `[Z, H, W]`, where the tumour is.
        shape: `(Z, H, W)`.
        tumour: int `[2, W]`, pixels of tumour of each cut, sagittal and coronal.
        tissue: int `[2, W]`, likewise of tissue.
    """

    slices: NDArray[np.int_]
    outlines: NDArray[np.uint8]
    shape: tuple[int, int, int]
    tumour: NDArray[np.int_]
    tissue: NDArray[np.int_]


class Reformats:
    """Cuts through the volumes of one set of scans."""

    def __init__(self, scans: ScanSet) -> None:
        """Find the volumes whose tumours are outlined.

        Args:
            scans: whole volumes, slices of doubtful label included.
        """
        self._scans = scans
        self._volumes = [
            volume for slices in stacks(scans.scans) if (volume := self._volume(slices)) is not None
        ]

    def __len__(self) -> int:
        return len(self._volumes)

    def draw(
        self, *, tumour: bool, generator: np.random.Generator, tries: int = 8
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
        """A random cut of a class.

        Args:
            tumour: whether it shall go through a tumour, or through none.
            generator: of volume, plane and place.
            tries: volumes to try before giving up.

        Returns:
            uint8 `[H, W, 3]` and the tumour's outline, bool `[H, W]`; None where nothing was found.
        """
        for _ in range(tries if self._volumes else 0):
            volume = self._volumes[generator.integers(len(self._volumes))]
            plane = int(generator.integers(2))
            tissue = volume.tissue[plane]
            wanted = volume.tumour[plane] >= _CUT_TUMOUR if tumour else volume.tumour[plane] == 0
            places = np.flatnonzero(wanted & (tissue > _FULL * tissue.max()))
            if len(places):
                height = float(generator.uniform(*_HEIGHT))
                return self._cut(volume, plane, int(generator.choice(places)), height)
        return None

    def _volume(self, slices: NDArray[np.int_]) -> Volume | None:
        grey = self._scans.images(slices)[..., 1]
        outlines = np.zeros(grey.shape, bool)
        for number, scan in enumerate(slices):
            if self._scans.targets[scan] > 0.5:
                file = self._scans.mask_file(scan)
                if file is None:
                    return None
                outlines[number] = read_outline(file)
        through = ((0, 1), (0, 2))  # what a sagittal and a coronal cut add up
        return Volume(
            slices=slices,
            outlines=np.packbits(outlines),
            shape=grey.shape,
            tumour=np.stack([outlines.sum(axis=axes) for axes in through]),
            tissue=np.stack([(grey > AIR).sum(axis=axes) for axes in through]),
        )

    def _cut(
        self, volume: Volume, plane: int, place: int, height: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        outlines = np.unpackbits(volume.outlines, count=int(np.prod(volume.shape)))
        outlines = outlines.reshape(volume.shape)
        packed, rows = self._scans.packed, self._scans.rows[volume.slices]
        if plane == 0:
            grey = np.stack([packed[row, :, place, 1] for row in rows])
            outline = outlines[:, :, place]
        else:
            grey = np.stack([packed[row, place, :, 1] for row in rows])
            outline = outlines[:, place]
        # The first slice is the lowest.
        return _stretched(grey[::-1], outline[::-1], height)


def stacks(scans: list[Scan]) -> list[NDArray[np.int_]]:
    """Scans of one patient and sequence whose names differ in a running number alone, in its order."""
    found: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for i, scan in enumerate(scans):
        name = PurePath(scan.origin).stem
        for number in re.finditer(r"\d+", name) if scan.patient else ():
            rest = f"{name[: number.start()]}#{name[number.end() :]}"
            found[scan.source, scan.patient, scan.sequence, rest].append((int(number[0]), i))
    ordered = [np.array(sorted(members), int) for members in found.values()]
    return [
        stack[:, 1]
        for stack in ordered
        if len(stack) >= _SLICES and np.ptp(stack[:, 0]) < 1.2 * len(stack)
    ]


def _stretched(
    grey: NDArray[np.uint8], outline: NDArray[np.uint8], height: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A cut `[Z, W]` at its true height, in the middle of a black square."""
    side = grey.shape[1]
    rows = round(side * height)
    top = (side - rows) // 2
    square = np.zeros((side, side), np.uint8)
    inside = np.zeros((side, side), bool)
    square[top : top + rows] = cv2.resize(grey, (side, rows), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.resize(outline.astype(np.float32), (side, rows), interpolation=cv2.INTER_LINEAR)
    inside[top : top + rows] = smooth > 0.5
    return np.repeat(square[..., None], 3, axis=-1), inside
