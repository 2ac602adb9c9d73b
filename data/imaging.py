"""From the bytes of an image file to the array that the model reads.

This is the only code in the project that decodes images and letterboxes: dataset preparation, the
command line, the page and the HTTP API all come here, so a scan looks the same to the network wherever
it comes from. Medical files and archives come by way of `data.studies`.
"""

from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

IMAGE_SIZE: Final = 224
MAX_FILE_BYTES: Final = 16 * 2**20
#: Above any slice of a scan, far below what exhausts memory (3 bytes a pixel once decoded).
MAX_PIXELS: Final = 50_000_000
MIN_SIDE: Final = 32
#: Fewer grey levels than this between the darkest and the brightest pixel show nothing.
MIN_GREY_RANGE: Final = 8
#: Pillow's names of the formats we read. The content decides, never the file name.
FORMATS: Final = ("PNG", "JPEG", "WEBP")
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")


class ScanError(ValueError):
    """A file that cannot be used as a scan.

    The message is one sentence for the person who sent the file and says what to do;
    it never holds the file's name or content.

    Attributes:
        code: stable machine-readable reason, for example `"empty"` or `"too_large"`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def too_large() -> ScanError:
    """The error for a file over `MAX_FILE_BYTES`; callers that count bytes themselves raise it too."""
    return ScanError(
        "too_large", f"The file is larger than {MAX_FILE_BYTES // 2**20} MB. Send a smaller export."
    )


def read_scan(path: Path) -> bytes:
    """Read a file for `prepare_scan` without ever holding more than the size limit.

    Raises:
        ScanError: `too_large`, before the rest is read.
        OSError: the file cannot be read at all.
    """
    with path.open("rb") as file:
        payload = file.read(MAX_FILE_BYTES + 1)
    if len(payload) > MAX_FILE_BYTES:
        raise too_large()
    return payload


def is_still(payload: bytes) -> bool:
    """Whether a file begins as an image of one of `FORMATS` does."""
    is_webp = payload[:4] == b"RIFF" and payload[8:12] == b"WEBP"
    return is_webp or payload.startswith((b"\x89PNG", b"\xff\xd8\xff"))


def decode_scan(payload: bytes) -> Image.Image:
    """Decode one PNG, JPEG or WebP file to an upright 8-bit RGB image.

    Transparency is laid on black, EXIF rotation is applied, 16-bit grey is scaled to 8 bits over its
    full range (65535 becomes 255).

    Args:
        payload: the whole file.

    Raises:
        ScanError: `empty`, `too_large`, `unsupported_format`, `multiple_frames`, `too_many_pixels`,
            `too_small`, `corrupt` or `blank`.
    """
    if not payload:
        raise ScanError("empty", "The file is empty. Export the scan again and send that file.")
    if len(payload) > MAX_FILE_BYTES:
        raise too_large()
    try:
        image = Image.open(BytesIO(payload), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile bytes
        if is_still(payload):
            raise _corrupt() from error
        raise ScanError(
            "unsupported_format",
            "This is not a PNG, JPEG or WebP image. Export the scan in one of these formats.",
        ) from error
    with image:
        _check_header(image)
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
            rgb = _to_rgb(upright)
        except Exception as error:  # as above
            raise _corrupt() from error
    if is_blank(rgb.convert("L")):
        raise ScanError("blank", "The image is blank: it shows no contrast. Send another slice.")
    return rgb


def is_blank(grey: Image.Image) -> bool:
    """Whether an image of mode L has fewer than `MIN_GREY_RANGE` levels from darkest to brightest."""
    darkest, brightest = grey.getextrema()
    return brightest - darkest < MIN_GREY_RANGE  # type: ignore[operator]


def letterbox(image: Image.Image, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """Fit an image into a square, keeping its aspect, centred on black, antialiased.

    An image that already is `size` × `size` comes back pixel for pixel.

    Args:
        image: RGB.
        size: side of the square, in pixels.

    Returns:
        uint8 `[size, size, 3]`, RGB, 0..255.
    """
    scale = size / max(image.size)
    width, height = image.size
    fitted = max(1, round(width * scale)), max(1, round(height * scale))
    if fitted != image.size:
        image = image.resize(fitted, Image.Resampling.LANCZOS)
    square = Image.new("RGB", (size, size))
    square.paste(image, ((size - fitted[0]) // 2, (size - fitted[1]) // 2))
    return np.asarray(square, dtype=np.uint8)


def prepare_scan(payload: bytes) -> NDArray[np.uint8]:
    """Turn the bytes of an image file into the model's input.

    Returns:
        uint8 `[224, 224, 3]`, RGB, letterboxed.

    Raises:
        ScanError: see `decode_scan`.
    """
    return letterbox(decode_scan(payload))


def _corrupt() -> ScanError:
    return ScanError("corrupt", "The image is damaged or incomplete. Export the scan again.")


def _too_many_pixels() -> ScanError:
    return ScanError(
        "too_many_pixels",
        f"The image has more than {MAX_PIXELS // 10**6} million pixels. Send a single slice.",
    )


def _check_header(image: Image.Image) -> None:
    """Refuse by what the header says, before any pixel is decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels()
    if min(width, height) < MIN_SIDE:
        raise ScanError(
            "too_small",
            f"The image is {width} × {height} pixels; the shorter side must have at least {MIN_SIDE}.",
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise ScanError(
            "multiple_frames", f"The file holds {frames} frames. Send one slice as a still image."
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey
        levels = np.asarray(image, dtype=np.int64).clip(0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("RGB")
