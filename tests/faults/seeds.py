"""Valid files and forms of every kind that the HTTP API reads, to be damaged."""

import gzip
from collections.abc import Mapping

import numpy as np
from PIL import Image

from tests.data.medical import EIGHT_BITS, dicom, encoded, nifti, packed, rle, series
from tests.ui.pictures import picture

BOUNDARY = b"cut-here"


def scans() -> dict[str, bytes]:
    """One small valid file of each kind, by the ending that its name would have."""
    levels = np.random.default_rng(7).integers(0, 256, (48, 48), np.uint8)
    volume = np.random.default_rng(8).integers(0, 1000, (16, 16, 6)).astype(np.int16)
    dicoms = series([levels, levels.T, levels[::-1]])
    return {
        "png": picture(90),
        "jpeg": picture(90, "JPEG"),
        "webp": picture(90, "WEBP"),
        "16-bit.png": encoded(Image.fromarray(levels.astype(np.uint16) * 257)),
        "palette.png": encoded(Image.fromarray(levels).convert("P")),
        "dcm": dicom(levels, **EIGHT_BITS),
        "rle.dcm": dicom(levels, syntax="1.2.840.10008.1.2.5", frames=[rle(levels)]),
        "nii": nifti(volume),
        "nii.gz": gzip.compress(nifti(volume), 1, mtime=0),
        "zip": packed({f"{n}.dcm": one for n, one in enumerate(dicoms)} | {"a.png": picture(60)}),
    }


def form(payload: bytes, name: str = "a.png", field: str = "file") -> bytes:
    """A multipart/form-data body with one file."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'.encode()
    kind = b"Content-Type: application/octet-stream"
    end = b"\r\n--" + BOUNDARY + b"--\r\n"
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n" + kind + b"\r\n\r\n" + payload + end


def request(
    body: bytes, path: str = "/api/v1/analyze", headers: Mapping[str, str | None] | None = None
) -> bytes:
    """An HTTP/1.1 request that is whole; `headers` replace its own, add to them, or take one out (None)."""
    fields: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Connection": "close",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}",
        "Content-Length": str(len(body)),
    } | dict(headers or {})
    lines = "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
