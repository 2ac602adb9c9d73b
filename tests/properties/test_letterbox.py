"""What holds of every image that is fitted into the model's square."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.imaging import IMAGE_SIZE, letterbox
from tests.properties.bounds import bounded

SIDES = st.integers(1, 600)
LEVELS = st.tuples(*[st.integers(0, 255)] * 3)


def _noise(width: int, height: int, seed: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(levels)


@bounded(60)
@given(SIDES, SIDES, LEVELS.filter(any))
def test_the_aspect_stays_and_the_rest_is_black_and_centred(width, height, colour) -> None:
    square = letterbox(Image.new("RGB", (width, height), colour))
    assert square.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
    assert square.dtype == np.uint8
    # One colour stays one colour, so that what is not black is the image.
    inside = (square == colour).all(axis=2)
    assert not square[~inside].any()
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert inside.sum() == len(rows) * len(columns)
    assert max(len(rows), len(columns)) == IMAGE_SIZE
    scale = IMAGE_SIZE / max(width, height)
    assert abs(len(columns) - width * scale) <= 0.5 or len(columns) == 1
    assert abs(len(rows) - height * scale) <= 0.5 or len(rows) == 1
    for found in (rows, columns):
        assert abs(found[0] - (IMAGE_SIZE - 1 - found[-1])) <= 1


@bounded(40)
@given(SIDES, SIDES, st.integers(0, 2**32))
def test_a_square_comes_back_as_it_is(width: int, height: int, seed: int) -> None:
    square = letterbox(_noise(width, height, seed))
    assert np.array_equal(letterbox(Image.fromarray(square)), square)


@bounded(40)
@given(SIDES, SIDES, st.integers(0, 254), st.integers(1, 255))
def test_no_level_is_brighter_than_the_image(width: int, height: int, seed: int, top: int) -> None:
    noise = Image.fromarray(np.minimum(np.asarray(_noise(width, height, seed)), top // 2))
    # Lanczos may overshoot where levels jump, but never past twice the range, nor below black.
    assert letterbox(noise).max() <= top + 1
