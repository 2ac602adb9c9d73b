"""The one decoding path: what each kind of file becomes, and why others are refused."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.imaging import (
    IMAGE_SIZE,
    MAX_FILE_BYTES,
    ScanError,
    letterbox,
    prepare_scan,
    read_scan,
)
from tests.data.medical import encoded, png_header


@pytest.fixture
def grey() -> np.ndarray:
    """uint8 [150, 200]: a pattern with no symmetry."""
    y, x = np.mgrid[:150, :200]
    return ((x * 3 + y * y // 40) % 200 + 20).astype(np.uint8)


@pytest.fixture
def plain(grey: np.ndarray) -> np.ndarray:
    return prepare_scan(encoded(Image.fromarray(grey)))


def test_16_bit_equals_its_8_bit_twin(grey: np.ndarray, plain: np.ndarray) -> None:
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode.startswith("I")
    np.testing.assert_array_equal(prepare_scan(encoded(deep)), plain)


def test_palette_equals_its_plain_twin(grey: np.ndarray, plain: np.ndarray) -> None:
    palette = Image.fromarray(grey).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    assert palette.mode == "P"
    np.testing.assert_array_equal(prepare_scan(encoded(palette)), plain)


def test_opaque_alpha_changes_nothing_and_clear_becomes_black(
    grey: np.ndarray, plain: np.ndarray
) -> None:
    rgba = Image.fromarray(grey).convert("RGBA")
    np.testing.assert_array_equal(prepare_scan(encoded(rgba)), plain)
    alpha = np.full(grey.shape, 255, np.uint8)
    alpha[:, :100] = 0
    rgba.putalpha(Image.fromarray(alpha))
    prepared = prepare_scan(encoded(rgba))
    assert prepared[28:196, :100].max() == 0
    np.testing.assert_array_equal(prepared[:, 130:], plain[:, 130:])


def test_cmyk_equals_its_rgb_twin(grey: np.ndarray) -> None:
    cmyk = Image.fromarray(grey).convert("RGB").convert("CMYK")
    payload = encoded(cmyk, "JPEG", quality=100)
    with Image.open(BytesIO(payload)) as image:
        twin = letterbox(image.convert("RGB"))
    np.testing.assert_array_equal(prepare_scan(payload), twin)
    assert np.abs(twin.astype(int) - letterbox(cmyk.convert("RGB"))).mean() < 2


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_exif_rotation_equals_its_upright_twin(
    grey: np.ndarray, plain: np.ndarray, orientation: int, undo: Image.Transpose
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = Image.fromarray(grey).transpose(undo)
    np.testing.assert_array_equal(prepare_scan(encoded(turned, exif=exif)), plain)


def test_webp_is_read(grey: np.ndarray, plain: np.ndarray) -> None:
    payload = encoded(Image.fromarray(grey).convert("RGB"), "WEBP", lossless=True)
    np.testing.assert_array_equal(prepare_scan(payload), plain)


def test_letterbox_keeps_an_image_of_the_right_size() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(letterbox(Image.fromarray(pixels)), pixels)


@pytest.mark.parametrize("shape", [(448, 224), (224, 448), (100, 50)])
def test_letterbox_centres_on_black_and_keeps_the_aspect(shape: tuple[int, int]) -> None:
    square = letterbox(Image.new("RGB", shape, (200, 100, 50)))
    assert square.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
    upright = square if shape[0] < shape[1] else square.swapaxes(0, 1)
    assert (upright[:, 56:168] == (200, 100, 50)).all()
    assert upright[:, :56].max() == 0
    assert upright[:, 168:].max() == 0


def frames(grey: np.ndarray) -> bytes:
    first = Image.fromarray(grey)
    return encoded(first, save_all=True, append_images=[Image.fromarray(grey[::-1])])


REFUSED = {
    "empty": lambda grey: b"",
    "unsupported_format": lambda grey: b"a diary, not an image",
    "corrupt": lambda grey: encoded(Image.fromarray(grey))[:-200],
    "too_many_pixels": lambda grey: png_header(8000, 8000),
    "too_small": lambda grey: encoded(Image.new("L", (1, 1))),
    "multiple_frames": frames,
    "blank": lambda grey: encoded(Image.new("L", (64, 64), 90)),
    "too_large": lambda grey: encoded(Image.fromarray(grey)) + bytes(MAX_FILE_BYTES),
}


@pytest.mark.parametrize("code", REFUSED)
def test_refused_with_a_code_and_a_sentence(grey: np.ndarray, code: str) -> None:
    with pytest.raises(ScanError) as caught:
        prepare_scan(REFUSED[code](grey))
    assert caught.value.code == code
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP"])
def test_other_formats_are_refused(grey: np.ndarray, kind: str) -> None:
    with pytest.raises(ScanError, match="not a PNG, JPEG or WebP") as caught:
        prepare_scan(encoded(Image.fromarray(grey), kind))
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 60_000)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(ScanError) as caught:
        prepare_scan(png_header(*size))
    assert caught.value.code == "too_many_pixels"


def test_truncated_jpeg_and_webp_are_corrupt(grey: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    for kind in ("JPEG", "WEBP"):
        payload = encoded(Image.fromarray(noise).convert("RGB"), kind)
        with pytest.raises(ScanError) as caught:
            prepare_scan(payload[: len(payload) // 2])
        assert caught.value.code == "corrupt"


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ScanError, match="larger than 16 MB"):
        read_scan(path)
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES)
    assert len(read_scan(path)) == MAX_FILE_BYTES
