"""Which scans show the same picture: flips, quarter turns, filters, re-encodings, cropped margins.

Each scan becomes thumbnails of its content in which every neighbourhood has mean 0 and contrast 1.
Brightness, contrast and the bright ellipse that all heads share drop out; what is left is the pattern
of folds and lesions, which two patients do not share. Two scans are near-duplicates if the
correlation of their thumbnails, at the best of the eight flips and rotations and in either polarity,
reaches `THRESHOLD`. The content is cut out twice, since a filter or a caption may move its edge:
once as all that differs from the background, once as the bulk of it.

The correlations of every pair are computed outright, as products of matrices, with no hash in between
to select candidates: 9,273 scans take about 20 seconds of one core, and nothing is missed for the
sake of a hash. The time grows with the square of the number of scans. What it does not see: a crop
that cuts more than a few per cent off the head, and a turn by a few degrees.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL: Final = 32
#: Chosen by eye on five public sources (9,259 scans). Of the pairs that earlier grouping had left
#: apart, and whose patients are not known to differ, all 107 from 0.83 up show one picture but for
#: one doubtful; the first clear mistakes come at 0.79. Slices near the top of the head, which look
#: alike in anyone, reach 0.88: `join_near_duplicates` keeps them apart where patients are named.
THRESHOLD: Final = 0.83
#: Ways to find the content: the difference from the grey of the frame, relative to the largest, that
#: makes a pixel tissue and not air; the share of such pixels that a row or column of the content has.
_CUTS: Final = ((0.10, 0.02), (0.15, 0.10))
_NEIGHBOURHOOD: Final = 9
_BLOCK: Final = 1024


def patterns(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The pattern of a scan, free of brightness, contrast and margins.

    Args:
        pixels: uint8 `[H, W, 3]`, RGB.

    Returns:
        float32 `[2, 32, 32]`: for each way to cut out the content a thumbnail of mean 0 and norm 1,
        or of zeros if it shows no pattern.
    """
    levels = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)
    frame = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    contrast = np.abs(levels - np.median(frame))
    contrast /= max(1.0, float(np.percentile(contrast, 99.5)))
    return np.stack([_pattern(levels, _box(contrast > air, share)) for air, share in _CUTS])


def near_duplicates(
    thumbnails: NDArray[np.float32],
    threshold: float = THRESHOLD,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find all pairs of scans that show the same picture.

    Args:
        thumbnails: float32 `[N, 2, 32, 32]`, of each scan what `patterns` returns.
        threshold: least correlation.
        progress: wraps the blocks that the search goes through, to show how far it is.

    Returns:
        int64 `[M, 2]`, the pairs with the smaller index first, and float32 `[M]`, their correlations;
        the most alike first.
    """
    count = len(thumbnails)
    views = [np.ascontiguousarray(view) for view in np.moveaxis(thumbnails, 1, 0)]
    pairs, correlations = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for start in progress(range(0, count, _BLOCK)):
        rows = min(_BLOCK, count - start)
        best = np.zeros((rows, count - start), np.float32)
        for view in views:
            later = view[start:].reshape(count - start, -1).T
            for turned in _flips_and_rotations(view[start : start + rows]):
                product = turned.reshape(rows, -1) @ later
                np.maximum(best, np.abs(product, out=product), out=best)
        first, second = np.nonzero(best >= threshold)
        once = second > first  # the diagonal is a scan against itself
        first, second = first[once], second[once]
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


def _box(tissue: NDArray[np.bool_], share: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what holds tissue; the whole image if that is next to nothing."""
    rows = np.flatnonzero(tissue.mean(axis=1) > share)
    columns = np.flatnonzero(tissue.mean(axis=0) > share)
    if min(len(rows), len(columns)) < THUMBNAIL // 2:
        return 0, 0, tissue.shape[1], tissue.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _pattern(levels: NDArray[np.float32], box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    size = (THUMBNAIL, THUMBNAIL)
    content = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX, box))
    detail = content - _local_mean(content)
    # The floor keeps noise in flat regions from counting as much as tissue.
    floor = 0.1 * float(content.std())
    pattern = detail / np.sqrt(_local_mean(detail**2) + floor**2 + 1e-6)
    pattern -= pattern.mean()
    norm = float(np.linalg.norm(pattern))
    return (pattern / norm if norm >= 1.0 else np.zeros(size)).astype(np.float32)


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
