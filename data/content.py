"""Where in a scan its content lies: the box of what differs from the background."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Ways to find the content: the difference from the grey of the frame, relative to the largest, that
#: makes a pixel tissue and not air; the share of such pixels that a row or column of the content has.
CUTS: Final = ((0.10, 0.02), (0.15, 0.10))
#: Content of fewer rows or columns than this is next to nothing.
_LEAST: Final = 16


def content_box(
    levels: NDArray[np.float32], cut: tuple[float, float] = CUTS[0]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what differs from the frame; the whole image if next to nothing.

    Args:
        levels: float32 `[H, W]`, grey.
        cut: one of `CUTS`.
    """
    air, share = cut
    frame = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    contrast = np.abs(levels - np.median(frame))
    tissue = contrast > air * max(1.0, float(np.percentile(contrast, 99.5)))
    rows = np.flatnonzero(tissue.mean(axis=1) > share)
    columns = np.flatnonzero(tissue.mean(axis=0) > share)
    if min(len(rows), len(columns)) < _LEAST:
        return 0, 0, levels.shape[1], levels.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
