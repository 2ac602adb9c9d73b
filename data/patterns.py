"""How alike two scans are: the correlation of their patterns, at the best flip, turn and polarity.

Each scan becomes thumbnails of its content in which every neighbourhood has mean 0 and contrast 1.
Brightness, contrast and the bright ellipse that all heads share drop out; what is left is the pattern
of folds and lesions, which two patients do not share. Two scans are near-duplicates if the
correlation of their thumbnails, at the best of the eight flips and rotations and in either polarity,
reaches `THRESHOLD`. The content is cut out twice, since a filter or a caption may move its edge:
once as all that differs from the background, once as the bulk of it.

The correlations of every pair are computed outright, as products of matrices: 9,273 scans take about
20 seconds of one core, and no hash decides what is compared. The time grows with the square of the
number of scans. What it does not see, a crop that cuts into the head and a turn by a few degrees, is
left to `data.proposals` and `data.registration`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.content import CUTS, content_box

THUMBNAIL: Final = 32
#: Chosen by eye on five public sources (9,259 scans). Of the pairs that earlier grouping had left
#: apart, and whose patients are not known to differ, all 107 from 0.83 up show one picture but for
#: one doubtful; the first clear mistakes come at 0.79. Slices near the top of the head, which look
#: alike in anyone, reach 0.88: `join_near_duplicates` keeps them apart where patients are named.
THRESHOLD: Final = 0.83
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
    return np.stack([_pattern(levels, content_box(levels, cut)) for cut in CUTS])


def even_out(content: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give every neighbourhood mean 0 and contrast 1: float32 `[S, S]`, neighbourhoods of 0.28 S."""
    side = content.shape[0] * _NEIGHBOURHOOD // THUMBNAIL | 1
    detail = content - _local_mean(content, side)
    # The floor keeps noise in flat regions from counting as much as tissue.
    floor = 0.1 * float(content.std())
    return detail / np.sqrt(_local_mean(detail**2, side) + floor**2 + 1e-6)


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
            for turned in flips_and_rotations(view[start : start + rows]):
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


def _pattern(levels: NDArray[np.float32], box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    size = (THUMBNAIL, THUMBNAIL)
    pattern = even_out(np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX, box)))
    pattern -= pattern.mean()
    norm = float(np.linalg.norm(pattern))
    return (pattern / norm if norm >= 1.0 else np.zeros(size)).astype(np.float32)


def _local_mean(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Mean over the square neighbourhood of each pixel, edges repeated."""
    return cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE).astype(np.float32)


def flips_and_rotations(block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The eight symmetries of the square, applied to float32 `[N, S, S]`."""
    for turns in range(4):
        turned = np.rot90(block, turns, axes=(1, 2))
        yield np.ascontiguousarray(turned)
        yield np.ascontiguousarray(turned[:, :, ::-1])
