"""Doubtful images are named with what was measured; sound scans pass."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data.imaging import decode_scan
from data.quality import Severity, check_quality


@pytest.fixture
def scan(samples: dict[str, list[Path]]) -> Image.Image:
    return decode_scan(samples["yes"][0].read_bytes())


def codes(image: Image.Image) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in check_quality(image)}


def test_the_samples_pass(samples: dict[str, list[Path]]) -> None:
    for path in samples["yes"] + samples["no"]:
        assert check_quality(decode_scan(path.read_bytes())) == []


def test_aspect(scan: Image.Image) -> None:
    strip = Image.new("RGB", (scan.width * 3, scan.height))
    for i in range(3):
        strip.paste(scan, (scan.width * i, 0))
    (finding,) = check_quality(strip)
    assert (finding.code, finding.value, finding.threshold) == ("aspect", 3.0, 2.0)
    assert finding.message == "The image is 3.0 times as long as wide. Send a single slice."
    assert codes(strip.resize((1000, 200)))["aspect"] is Severity.REJECT


def test_resolution_is_that_of_the_head(scan: Image.Image) -> None:
    head = scan.convert("L").point(lambda v: 255 * (v > 30)).getbbox()
    cut = scan.crop(head)
    assert codes(cut.resize((90, 90))) == {"low_resolution": Severity.WARN}
    assert codes(cut.resize((50, 50)))["low_resolution"] is Severity.REJECT
    wide = Image.new("RGB", (1000, 1000))
    wide.paste(cut.resize((100, 100)), (450, 450))
    found = codes(wide)
    assert found["low_resolution"] is Severity.WARN
    assert found["wide_border"] is Severity.REJECT


def test_colour(scan: Image.Image) -> None:
    marked = scan.copy()
    ImageDraw.Draw(marked).rectangle((5, 5, 60, 20), fill=(0, 80, 255))
    assert codes(marked)["colour"] is Severity.WARN
    red = np.asarray(scan).copy()
    red[..., 0] = 255
    assert codes(Image.fromarray(red))["colour"] is Severity.REJECT


def test_saturation(scan: Image.Image) -> None:
    page = Image.new("RGB", (scan.width * 2, scan.height * 2), "white")
    page.paste(scan, (0, 0))
    assert codes(page)["saturated"] is Severity.REJECT
    half = Image.new("RGB", (scan.width * 3 // 2, scan.height), "white")
    half.paste(scan, (0, 0))
    assert codes(half)["saturated"] is Severity.WARN


def test_grey_levels_and_contrast(scan: Image.Image) -> None:
    drawing = scan.point([255 * (v > 60) for v in range(256)] * 3)
    assert codes(drawing)["few_grey_levels"] is Severity.REJECT
    steps = scan.point([v // 8 * 8 for v in range(256)] * 3)
    assert codes(steps)["few_grey_levels"] is Severity.WARN
    dim = scan.point([v // 6 for v in range(256)] * 3)
    assert codes(dim)["low_contrast"] is Severity.WARN
    dark = check_quality(scan.point([v // 20 for v in range(256)] * 3))
    assert [f.severity for f in dark] == sorted((f.severity for f in dark), reverse=False)
    assert dark[0].severity is Severity.REJECT


def test_an_image_is_left_as_it_was(scan: Image.Image) -> None:
    before = scan.tobytes()
    check_quality(scan)
    assert scan.tobytes() == before


def test_large_images_are_judged_like_small_ones(scan: Image.Image) -> None:
    assert check_quality(scan.resize((3000, 3000))) == []
