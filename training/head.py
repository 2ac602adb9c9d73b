"""Where the head lies in a prepared scan, for what is drawn into it or cut out of it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]

#: Grey levels (of 255) up to which a pixel is air.
AIR: Final = 20


def head_box(grey: Grey) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the head on black; the whole image if there is next to nothing."""
    tissue = grey > AIR
    rows = np.flatnonzero(tissue.mean(axis=1) > 0.03)
    columns = np.flatnonzero(tissue.mean(axis=0) > 0.03)
    height, width = grey.shape
    if min(len(rows), len(columns)) < width // 4:
        return 0, 0, width, height
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
