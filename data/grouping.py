"""Which scans show the same picture: flips, quarter turns, filters, re-encodings, cropped margins.

Each scan becomes a thumbnail of its content in which every neighbourhood has mean 0 and contrast 1.
Brightness, contrast and the bright ellipse that all heads share drop out; what is left is the pattern
of folds and lesions, which two patients do not share. Two scans are near-duplicates if the
correlation of their thumbnails, at the best of the eight flips and rotations and in either polarity,
reaches `THRESHOLD`.

The eight correlations of every pair are computed outright, as products of matrices, with no hash in
between to select candidates: on 9,273 scans it takes about ten seconds of one core, and nothing is
missed for the sake of a hash. The time grows with the square of the number of scans. What it does
not see: a crop that cuts more than a few per cent off the head, and a turn by a few degrees.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL: Final = 32
#: Chosen by eye on five public sources (9,259 scans). Of the pairs whose patients are not known to
#: differ and that earlier grouping had left apart, the 90-odd from 0.83 up show one picture, but for
#: one doubtful; the first clear mistake comes at 0.79. Slices near the top of the head, which look
#: alike in anyone, reach 0.87: `join_near_duplicates` keeps them apart where patients are named.
THRESHOLD: Final = 0.83
_NEIGHBOURHOOD: Final = 9
_BLOCK: Final = 1024
#: Difference from the grey of the frame, relative to the largest, that makes a pixel tissue, not air.
_AIR: Final = 0.15
#: Share of such pixels that makes a row or column part of the content: above what a caption fills.
_ROW_SHARE: Final = 0.1


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The pattern of a scan, free of brightness, contrast and margins.

    Args:
        pixels: uint8 `[H, W, 3]`, RGB.

    Returns:
        float32 `[32, 32]`, mean 0 and norm 1; all 0 if the scan shows no pattern.
    """
    levels = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)
    frame = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    contrast = np.abs(levels - np.median(frame))
    tissue = contrast > _AIR * np.percentile(contrast, 99.5)
    rows = np.flatnonzero(tissue.mean(axis=1) > _ROW_SHARE)
    columns = np.flatnonzero(tissue.mean(axis=0) > _ROW_SHARE)
    box = None
    if len(rows) >= THUMBNAIL // 2 and len(columns) >= THUMBNAIL // 2:
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    small = Image.fromarray(levels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX, box)
    content = np.asarray(small)
    detail = content - _local_mean(content)
    # The floor keeps noise in flat regions from counting as much as tissue.
    floor = 0.1 * float(content.std())
    pattern = detail / np.sqrt(_local_mean(detail**2) + floor**2 + 1e-6)
    pattern -= pattern.mean()
    norm = float(np.linalg.norm(pattern))
    if norm < 1.0:
        return np.zeros((THUMBNAIL, THUMBNAIL), np.float32)
    return (pattern / norm).astype(np.float32)


def near_duplicates(
    thumbnails: NDArray[np.float32],
    threshold: float = THRESHOLD,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find all pairs of scans that show the same picture.

    Args:
        thumbnails: float32 `[N, 32, 32]` from `thumbnail`.
        threshold: least correlation.
        progress: wraps the blocks that the search goes through, to show how far it is.

    Returns:
        int64 `[M, 2]`, the pairs with the smaller index first, and float32 `[M]`, their correlations;
        the most alike first.
    """
    count = len(thumbnails)
    flat = np.ascontiguousarray(thumbnails.reshape(count, -1))
    pairs, correlations = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for start in progress(range(0, count, _BLOCK)):
        block = thumbnails[start : start + _BLOCK]
        best = np.zeros((len(block), count - start), np.float32)
        for turned in _flips_and_rotations(block):
            product = turned.reshape(len(block), -1) @ flat[start:].T
            np.maximum(best, np.abs(product, out=product), out=best)
        first, second = np.nonzero(best >= threshold)
        later = second > first  # the diagonal is a scan against itself
        first, second = first[later], second[later]
        pairs.append(np.stack([first, second], axis=1) + start)
        correlations.append(best[first, second])
    every = np.concatenate(pairs)
    alike = np.concatenate(correlations)
    order = np.argsort(-alike, kind="stable")
    return every[order], alike[order]


class Groups:
    """Disjoint sets of scans that grow together."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, scan: int) -> int:
        """The scan that stands for the group of this one."""
        while self._parent[scan] != scan:
            self._parent[scan] = scan = self._parent[self._parent[scan]]
        return scan

    def join(self, one: int, other: int) -> bool:
        """Make one group of two; false if they were one already. The first scan stands for it."""
        one, other = sorted((self.find(one), self.find(other)))
        self._parent[other] = one
        return one != other

    def join_equal(self, keys: Iterable[Hashable | None]) -> None:
        """Join scans whose keys, one for each scan in order, are equal; None joins nothing."""
        first: dict[Hashable, int] = {}
        for scan, key in enumerate(keys):
            if key is not None:
                self.join(first.setdefault(key, scan), scan)

    def labels(self) -> list[int]:
        """For each scan in order the scan that stands for its group."""
        return [self.find(scan) for scan in range(len(self._parent))]


def join_near_duplicates(
    groups: Groups,
    pairs: NDArray[np.int64],
    patients: Sequence[tuple[str, str] | None],
) -> tuple[int, int]:
    """Join near-duplicates, the most alike first, but never two patients known to be different.

    Two names in one catalogue are two people, however alike their brains; names in different
    catalogues may be the same person.

    Args:
        groups: joined so far by what is certain; grows.
        pairs: int `[M, 2]` from `near_duplicates`, the most alike first.
        patients: catalogue and name for each scan, or None where unknown.

    Returns:
        How many joins united two groups, and how many pairs were left apart as different patients.
    """
    known: dict[int, dict[str, set[str]]] = {}
    for scan, patient in enumerate(patients):
        if patient is not None:
            catalogue, name = patient
            known.setdefault(groups.find(scan), {}).setdefault(catalogue, set()).add(name)
    merged = refused = 0
    for one, other in pairs.tolist():
        one, other = groups.find(one), groups.find(other)
        if one == other:
            continue
        mine, theirs = known.get(one, {}), known.get(other, {})
        if any(mine[name].isdisjoint(theirs[name]) for name in mine.keys() & theirs.keys()):
            refused += 1
            continue
        groups.join(one, other)
        merged += 1
        united = {
            name: mine.get(name, set()) | theirs.get(name, set())
            for name in mine.keys() | theirs.keys()
        }
        known[groups.find(one)] = united
    return merged, refused


def _local_mean(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the square neighbourhood of each pixel, edges repeated."""
    padded = np.pad(image, _NEIGHBOURHOOD // 2, mode="edge")
    rows = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURHOOD, axis=0).mean(axis=-1)
    return np.lib.stride_tricks.sliding_window_view(rows, _NEIGHBOURHOOD, axis=1).mean(axis=-1)


def _flips_and_rotations(block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The eight symmetries of the square, applied to float32 `[N, S, S]`."""
    for turns in range(4):
        turned = np.rot90(block, turns, axes=(1, 2))
        yield np.ascontiguousarray(turned)
        yield np.ascontiguousarray(turned[:, :, ::-1])
