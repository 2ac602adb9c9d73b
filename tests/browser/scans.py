"""Scans for the page, and the ways to hand them over."""

import io
import re

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

DROP_ZONE = ".drop input[type=file]"


def picture(level: int) -> bytes:
    """A picture of mean brightness `level`, but for a corner that keeps it from being blank."""
    pixels = np.full((224, 224, 3), level, np.uint8)
    pixels[:5, :5] = 255 - level if level in (0, 255) else level + 10
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def choose(page: Page, *payloads: bytes, name: str = "scan.png", kind: str = "image/png") -> None:
    """Choose files through the drop zone."""
    page.locator(DROP_ZONE).set_input_files(
        [{"name": name, "mimeType": kind, "buffer": payload} for payload in payloads]
    )


def verdict(page: Page) -> Locator:
    """The headline in the answer's place, whatever stands there."""
    return page.locator("#answer").get_by_role("heading", level=2)


def answered(page: Page, headline: str | re.Pattern[str] = "Tumour") -> None:
    """Wait for an answer."""
    expect(page.locator("#answer .answer")).to_be_visible()
    expect(verdict(page)).to_have_text(headline)
