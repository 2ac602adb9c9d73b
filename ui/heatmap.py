"""The evidence map as a picture over the scan."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.imaging import IMAGE_SIZE

#: From where evidence begins to the strongest: amber to deep red, distinct from grey for every colour vision.
_COLOURS: Final = np.array([[255, 209, 102], [244, 140, 6], [208, 0, 0]], np.float32)


def overlay(heatmap: NDArray[np.float32]) -> Image.Image:
    """Colour a heatmap and bring it to the size of the model's input.

    Args:
        heatmap: float32 `[h, w]`, 0..1.

    Returns:
        RGBA, 224 × 224; transparent where there is no evidence, the more opaque the more there is.
    """
    small = Image.fromarray(heatmap.astype(np.float32))
    large = np.asarray(small.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)).clip(0, 1)
    at = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(large, at, _COLOURS[:, channel]) for channel in range(3)]
    return Image.fromarray(np.stack([*channels, large * 255], -1).round().astype(np.uint8))
