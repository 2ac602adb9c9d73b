"""Pictures whose answer the scripted model server's rule tells, and how to send them."""

import io

import httpx
import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

BRIGHT, DIM = 240, 20


def picture(level: int, form: str = "PNG") -> bytes:
    """A picture of mean brightness `level`, half a little darker, half a little brighter."""
    pixels = np.full((224, 224, 3), level, np.uint8)
    pixels[:112] -= 10
    pixels[112:] += 10
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
