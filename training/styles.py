"""Grey levels of one scan given to another, so that a source's look goes with either class.

Histogram matching is the simplest style transfer between scanners (Nyul and Udupa 1999; mixing it in as
augmentation, cf. MixStyle, Zhou et al. 2021, arXiv:2104.02008); air stays black.
"""

import numpy as np
from numpy.typing import NDArray

from training.head import AIR


def mix_style(
    pixels: NDArray[np.uint8], other: NDArray[np.uint8], share: float
) -> NDArray[np.uint8]:
    """Move the grey levels of a scan's tissue towards those of another's.

    Args:
        pixels: uint8 `[H, W, 3]`.
        other: uint8 `[H, W, 3]`, whose look to take.
        share: 0 changes nothing, 1 gives the tissue the other's histogram.

    Returns:
        uint8 `[H, W, 3]`, grey; unchanged where either shows next to no tissue.
    """
    counts = [np.bincount(image[..., 1].ravel(), minlength=256)[AIR:] for image in (pixels, other)]
    if min(count.sum() for count in counts) < 1000:
        return pixels
    mine, theirs = (np.cumsum(count) / count.sum() for count in counts)
    levels = np.arange(AIR, 256, dtype=np.float64)
    # The slope keeps the inverse defined where a histogram has gaps.
    matched = np.interp(mine, theirs + 1e-9 * levels, levels)
    table = np.arange(256, dtype=np.float64)
    table[AIR:] += share * (matched - levels)
    mixed = table.clip(0, 255).astype(np.uint8)[pixels[..., 1]]
    return np.repeat(mixed[..., None], 3, axis=-1)
