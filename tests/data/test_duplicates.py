"""Crops and turns that plain correlation misses are proposed by hashes and confirmed by registration."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from data.content import content_box
from data.duplicates import Appearance, look_alikes
from data.imaging import letterbox
from data.proposals import ALTERATIONS, hashes, propose, thumbnail
from data.registration import THRESHOLD, confirm, registered_correlation


def crop(image: Image.Image, left: float, top: float, kept: float) -> Image.Image:
    """Cut into the head: shares of the content's width and height."""
    x0, y0, x1, y1 = content_box(np.asarray(image.convert("L"), dtype=np.float32))
    x, y = x0 + left * (x1 - x0), y0 + top * (y1 - y0)
    return image.crop(tuple(map(int, (x, y, x + kept * (x1 - x0), y + kept * (y1 - y0)))))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "turned by 10 degrees": lambda image: image.rotate(10, Image.Resampling.BICUBIC),
    "turned by -20 degrees": lambda image: image.rotate(-20, Image.Resampling.BICUBIC),
    "turned, mirrored": lambda image: ImageOps.mirror(image.rotate(15, Image.Resampling.BICUBIC)),
    "cropped by a tenth": lambda image: crop(image, 0.08, 0.03, 0.9),
    "cropped by a fifth": lambda image: crop(image, 0.13, 0.02, 0.8),
    "cropped, dark": lambda image: crop(image, 0.1, 0.1, 0.85).point(
        lambda v: 255 * (v / 255) ** 2
    ),
    "cropped, on its side": lambda image: crop(image, 0.0, 0.18, 0.8).rotate(90, expand=True),
}


@pytest.fixture(scope="module")
def brains(samples: dict[str, list[Path]]) -> list[Image.Image]:
    files = samples["yes"][::2] + samples["no"][::2]
    return [Image.open(path).convert("RGB") for path in files]


def alone(count: int) -> tuple[list[int], list[None]]:
    """Nothing is known to belong together, nobody's name is known."""
    return list(range(count)), [None] * count


@pytest.mark.parametrize("change", CHANGES)
def test_crops_and_turns_are_found_and_nothing_else(brains: list[Image.Image], change: str) -> None:
    count = len(brains)
    images = brains + [CHANGES[change](image) for image in brains]
    looks = [Appearance.of(letterbox(image)) for image in images]
    alike = look_alikes(looks, *alone(2 * count))
    found = {tuple(pair) for pair in alike.pairs.tolist()}
    true = {(i, i + count) for i in range(count)}
    assert found <= true
    assert len(found) >= 0.9 * count
    assert alike.registered.any()
    assert (np.diff(alike.correlations) <= 0).all()


def test_a_proposal_that_is_not_confirmed_joins_nothing(brains: list[Image.Image]) -> None:
    small = [thumbnail(letterbox(image)) for image in brains]
    wrong = [(i, 0, j, 0) for i, j in combinations(range(len(brains)), 2)]
    pairs, correlations = confirm(wrong, small)
    assert pairs.shape == (0, 2)
    assert correlations.shape == (0,)
    pairs, correlations = confirm([(3, 0, 3, 0), (1, 0, 2, 5)], small)
    assert pairs.tolist() == [[3, 3]]
    assert correlations[0] == pytest.approx(1.0, abs=1e-3)


def test_what_is_decided_already_is_not_proposed(brains: list[Image.Image]) -> None:
    turned = [image.rotate(8, Image.Resampling.BICUBIC) for image in brains[:3]]
    images = brains[:3] + turned
    hashed = np.stack([hashes(thumbnail(letterbox(image))) for image in images])
    assert hashed.shape == (6, len(ALTERATIONS) + 8, 18)

    def proposed(units: list[int], catalogues: list[str]) -> set[tuple[int, int]]:
        return {(min(i, j), max(i, j)) for i, _, j, _ in propose(hashed, units, catalogues)}

    assert {(0, 3), (1, 4), (2, 5)} <= proposed([0, 1, 2, 3, 4, 5], [""] * 6)
    assert (0, 3) not in proposed([0, 1, 2, 0, 4, 5], [""] * 6)  # one unit
    named = proposed([0, 1, 2, 3, 4, 5], ["m", "", "m", "m", "", "other"])
    assert (0, 3) not in named  # two people of one catalogue
    assert {(1, 4), (2, 5)} <= named


def test_blank_and_unlike_pictures_do_not_register() -> None:
    noise = np.random.default_rng(2).normal(size=(2, 64, 64)).astype(np.float32)
    assert registered_correlation(*noise) < THRESHOLD
    assert registered_correlation(np.zeros((64, 64), np.float32), noise[0]) == 0.0
