"""Pictures whose answer the scripted model server's rule tells, and how to send them."""

import io

import httpx
import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

BRIGHT, DIM = 240, 20


def picture(level: int, form: str = "PNG", *, side: int = 224, spread: int = 10) -> bytes:
    """A picture of mean brightness `level`, half `spread` darker, half as much brighter."""
    pixels = np.full((side, side, 3), level, np.uint8)
    pixels[: side // 2] -= spread
    pixels[side // 2 :] += spread
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, form)
    return encoded.getvalue()


def noise(side: int) -> bytes:
    """A picture that no compression makes smaller."""
    pixels = np.random.default_rng(5).integers(0, 256, (side, side, 3), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=0)
    return encoded.getvalue()


def send(
    api: httpx.Client | TestClient, payload: bytes, path: str = "/", name: str = "a.png"
) -> httpx.Response:
    """Send one file."""
    return api.post(path, files={"file": (name, payload)})


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error; its body must be an error's and nothing else."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"].endswith(".")
    assert "Traceback" not in response.text
    return response.status_code, body["error"]["code"]
