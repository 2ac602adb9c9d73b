"""Which scans may show one picture, cropped or turned by a few degrees: proposals, not findings.

A perceptual hash (`imagehash.phash`: the signs of a picture's lowest cosine frequencies) survives
filters and re-encodings, but neither crops nor turns. So each scan is hashed as it is, in the eight
flips and quarter turns, and again after each of `ALTERATIONS`: turned by steps of 6 degrees, cropped
by steps of 5 per cent. A copy of it lies within half a step of one of these. The nearest hashes are
proposals, nearly all of them wrong, that `data.registration` confirms or drops.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.content import content_box
from data.patterns import even_out, flips_and_rotations

#: Side of the grey thumbnails that hashes and registration start from.
THUMBNAIL: Final = 112
#: Cosine frequencies each way, of pictures three times that side: 144 bits. Measured on crops half a
#: step off, with 8, 10, 12 and 16 frequencies: the most true pairs come first with 10 and 12.
_FREQUENCIES: Final = 12
_FACTOR: Final = 3
_HASH_BYTES: Final = _FREQUENCIES**2 // 8
#: Hashes looked at for each alteration of a scan, and scans that are proposed for each scan.
_NEAREST: Final = 6
_PROPOSED: Final = 5
#: Differing bits from which on a hash says nothing; 44 found as much as 40 in measurements, 36 less.
_FAR: Final = 40


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """What may have been done to a picture.

    Attributes:
        degrees: turn, counter-clockwise.
        left: share of the content's width that was cut off at its left, 0..1.
        top: share of the content's height that was cut off at its top, 0..1.
        kept: share of width and of height that is left, 0..1.
    """

    degrees: float = 0.0
    left: float = 0.0
    top: float = 0.0
    kept: float = 1.0


_STEPS: Final = (0.0, 0.05, 0.1, 0.15, 0.2)
#: In runs of equal turns, which `hashes` takes together.
ALTERATIONS: Final = (
    *(
        Alteration(left=left, top=top, kept=1 - cut)
        for cut in (0.0, 0.1, 0.15, 0.2)
        for left in _STEPS
        for top in _STEPS
        if max(left, top) <= cut
    ),
    *(Alteration(degrees=degrees) for degrees in (-18, -12, -6, 6, 12, 18)),
)


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a scan small and grey: uint8 `[H, W, 3]`, RGB → uint8 `[112, 112]`."""
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def picture(small: NDArray[np.uint8], alteration: Alteration, side: int) -> NDArray[np.float32]:
    """Cut out the content of an altered scan, free of brightness and contrast.

    Args:
        small: uint8 `[112, 112]` from `thumbnail`.
        alteration: what is done to it before.
        side: of the result, in pixels.

    Returns:
        float32 `[side, side]`, mean 0 and contrast 1 in every neighbourhood.
    """
    return _cut(*_turned(small, alteration.degrees), alteration, side)


def hashes(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Perceptual hashes of a scan after each alteration, then in each flip and quarter turn.

    Args:
        small: uint8 `[112, 112]` from `thumbnail`.

    Returns:
        uint8 `[len(ALTERATIONS) + 8, 18]`: 144 bits each.
    """
    side = _FREQUENCIES * _FACTOR
    altered = []
    for degrees, alterations in groupby(ALTERATIONS, key=lambda one: one.degrees):
        turned = _turned(small, degrees)
        altered += [_cut(*turned, alteration, side) for alteration in alterations]
    symmetric = [view[0] for view in flips_and_rotations(altered[0][None])]
    return np.stack([_hash(content) for content in (*altered, *symmetric)])


def propose(
    hashed: NDArray[np.uint8],
    units: Sequence[int],
    catalogues: Sequence[str],
    known: Collection[tuple[int, int]] = (),
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Iterator[tuple[int, int, int, int]]:
    """Find the pairs of scans that are most likely to show one picture after an alteration.

    Args:
        hashed: uint8 `[N, len(ALTERATIONS) + 8, 18]`, of each scan what `hashes` returns.
        units: `[N]`; scans with equal numbers are kept together already and not proposed.
        catalogues: `[N]`, where a scan's patient is known the namespace of that name, else empty. Two
            scans of one catalogue are of one unit or of two people, and not proposed.
        known: pairs, the smaller index first, that are known to show one picture; not proposed.
        progress: wraps the scans that are gone through.

    Yields:
        The scan to alter, the index of the alteration, the scan that it may equal then, and in which
        flip or quarter turn, as `flips_and_rotations` counts; for each scan at most five pairs.
    """
    unit, catalogue = np.array(units), np.array(catalogues, dtype=object)
    scans = np.arange(len(hashed))
    others: dict[str, tuple[NDArray[np.int_], NDArray[np.uint8]]] = {}
    for name in set(catalogues):
        theirs = scans[catalogue != name] if name else scans
        others[name] = theirs, hashed[theirs, len(ALTERATIONS) :].reshape(-1, _HASH_BYTES)
    for scan in progress(range(len(hashed))):
        theirs, hashes_of_theirs = others[catalogues[scan]]
        if not len(theirs):
            continue
        bits, rows = cv2.batchDistance(
            hashed[scan, : len(ALTERATIONS)],
            hashes_of_theirs,
            cv2.CV_32S,
            normType=cv2.NORM_HAMMING,
            K=min(_NEAREST, len(hashes_of_theirs)),
        )
        best: dict[int, tuple[int, int, int]] = {}
        for alteration, k in np.argwhere(bits < _FAR).tolist():
            which, symmetry = divmod(int(rows[alteration, k]), 8)
            other = int(theirs[which])
            pair = min(scan, other), max(scan, other)
            if unit[other] != unit[scan] and pair not in known:
                found = int(bits[alteration, k]), alteration, symmetry
                best[other] = min(best.get(other, found), found)
        nearest = sorted((found, other) for other, found in best.items())[:_PROPOSED]
        for (_, alteration, symmetry), other in nearest:
            yield scan, alteration, other, symmetry


def _turned(
    small: NDArray[np.uint8], degrees: float
) -> tuple[NDArray[np.float32], tuple[int, int, int, int]]:
    """The levels of a turned scan, and the box of their content."""
    levels = small.astype(np.float32)
    if degrees:
        middle = (THUMBNAIL - 1) / 2
        air = float(np.median(np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])))
        turn = cv2.getRotationMatrix2D((middle, middle), degrees, 1.0)
        levels = np.asarray(cv2.warpAffine(levels, turn, small.shape, borderValue=air), np.float32)
    return levels, content_box(levels)


def _cut(
    levels: NDArray[np.float32], box: tuple[int, int, int, int], crop: Alteration, side: int
) -> NDArray[np.float32]:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    x, y = left + crop.left * width, top + crop.top * height
    kept = x, y, x + crop.kept * width, y + crop.kept * height
    content = Image.fromarray(levels).resize((side, side), Image.Resampling.BOX, kept)
    return even_out(np.asarray(content))


def _hash(content: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey = Image.fromarray((128 + 48 * content).clip(0, 255).astype(np.uint8))
    return np.packbits(imagehash.phash(grey, _FREQUENCIES, highfreq_factor=_FACTOR).hash)
