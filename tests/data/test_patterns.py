"""Copies of a picture are found through what is done to them; other brains are left alone."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from data.imaging import letterbox, prepare_scan
from data.patterns import THRESHOLD, near_duplicates, patterns


def jpeg(image: Image.Image) -> Image.Image:
    buffer = BytesIO()
    image.resize((160, 160 * image.height // image.width)).save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "flipped": ImageOps.flip,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned and mirrored": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "small and re-encoded": jpeg,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "sharpened": lambda image: ImageEnhance.Sharpness(image).enhance(4),
    "negative": ImageOps.invert,
    "wider margin": lambda image: ImageOps.expand(image, border=40),
    "other aspect": lambda image: image.resize((300, 220)),
}


@pytest.fixture(scope="module")
def brains(samples: dict[str, list[Path]]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in samples["yes"] + samples["no"]]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(brains: list[Image.Image], change: str) -> None:
    images = brains + [CHANGES[change](image) for image in brains]
    pairs, correlations = near_duplicates(np.stack([patterns(letterbox(i)) for i in images]))
    count = len(brains)
    assert {tuple(pair) for pair in pairs.tolist()} == {(i, i + count) for i in range(count)}
    assert (np.diff(correlations) <= 0).all()
    assert correlations.min() >= THRESHOLD


def test_different_brains_are_left_apart(samples: dict[str, list[Path]]) -> None:
    files = samples["yes"] + samples["no"]
    scans = np.stack([patterns(prepare_scan(path.read_bytes())) for path in files])
    pairs, _ = near_duplicates(scans)
    assert len(pairs) == 0


def test_pairs_are_found_across_blocks() -> None:
    noise = np.random.default_rng(3).normal(size=(1500, 2, 32, 32)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=(2, 3), keepdims=True)
    noise[1400] = np.rot90(noise[5], axes=(1, 2))
    noise[1450] = -noise[1401]
    pairs, correlations = near_duplicates(noise)
    assert {tuple(pair) for pair in pairs.tolist()} == {(5, 1400), (1401, 1450)}
    np.testing.assert_allclose(correlations, 1.0, atol=1e-5)


def test_a_scan_without_pattern_resembles_nothing() -> None:
    flat = patterns(np.full((224, 224, 3), 7, np.uint8))
    assert flat.shape == (2, 32, 32)
    assert not flat.any()
    pairs, _ = near_duplicates(np.stack([flat, flat]))
    assert len(pairs) == 0
