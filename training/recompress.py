"""JPEG artefacts as augmentation: most public scans went through a codec, each source at its own quality."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def recompress(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Encode as JPEG and decode again.

    Args:
        pixels: uint8 `[H, W, 3]`, RGB.
        quality: 1..100.

    Returns:
        uint8 `[H, W, 3]`, grey (ITU-R 601 luma, as the network takes it).
    """
    encoded = BytesIO()
    Image.fromarray(pixels).convert("L").save(encoded, "JPEG", quality=quality)
    with Image.open(encoded) as decoded:
        return np.repeat(np.asarray(decoded)[..., None], 3, axis=-1)
