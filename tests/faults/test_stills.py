"""Stills of odd sizes and with several pages, sent to the real page: each is answered or refused in words."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.ui.front_end import FrontEnd
from tests.ui.pictures import error_of, send


def still(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width), np.uint8)
    return encoded([Image.fromarray(pixels)], "PNG")


def pages(form: str) -> bytes:
    levels = np.random.default_rng(1).integers(0, 256, (3, 64, 64), np.uint8)
    return encoded([Image.fromarray(one) for one in levels], form)


def encoded(images: list[Image.Image], form: str) -> bytes:
    file = io.BytesIO()
    images[0].save(file, form, save_all=len(images) > 1, append_images=images[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("width", "height", "sentence"),
    [
        (1, 1, "The image is 1 × 1 pixels; the shorter side must have at least 32."),
        (20, 3000, "The image is 20 × 3000 pixels; the shorter side must have at least 32."),
        (3000, 20, "The image is 3000 × 20 pixels; the shorter side must have at least 32."),
    ],
)
def test_a_side_that_is_too_short_is_told(
    front_end: FrontEnd, width: int, height: int, sentence: str
) -> None:
    refused = send(front_end.http, still(width, height))
    assert error_of(refused) == (422, "too_small")
    assert refused.json()["error"]["message"] == sentence


def test_a_long_strip_is_answered_with_a_warning(front_end: FrontEnd) -> None:
    (one,) = send(front_end.http, still(32, 3000), "/api/v1/analyze").json()["results"]
    assert (
        one["slices"][0]["decision"]["probability"] < 0.5
    )  # fitted into a square, it is mostly black
    assert "aspect" in [warning["code"] for warning in one["slices"][0]["warnings"]]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("TIFF", (415, "unsupported_format")),
        ("GIF", (415, "unsupported_format")),
        ("PNG", (422, "multiple_frames")),
        ("WEBP", (422, "multiple_frames")),
    ],
)
def test_several_pages_are_refused(
    front_end: FrontEnd, form: str, expected: tuple[int, str]
) -> None:
    assert error_of(send(front_end.http, pages(form))) == expected
