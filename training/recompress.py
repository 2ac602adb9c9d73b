"""JPEG artefacts as augmentation: a codec's hand tells the source."""

import cv2
import numpy as np
from numpy.typing import NDArray


def recompress(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Encode as grey JPEG and decode again.

    Args:
        pixels: uint8 `[H, W, 3]`.
        quality: 1..100.

    Returns:
        uint8 `[H, W, 3]`, grey.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    _, encoded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    return np.repeat(decoded[..., None], 3, axis=-1)
