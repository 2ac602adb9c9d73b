"""Uploads through the real page to the real model: every bad one gets its sentence and leaves nothing,
every odd one the answer of its plain twin."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import httpx
import numpy as np
import pytest
from PIL import ExifTags, Image
from pydicom.uid import RLELossless

from data.imaging import MAX_FILE_BYTES
from tests.conftest import RunningServer
from tests.data.medical import EIGHT_BITS, dicom, encoded, gzip_bomb, nifti, packed, png_header, rle
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import error_of, send

#: As far apart as two surfaces may be.
TOLERANCE = 1e-4
#: What a single upload may add to the page's highest memory, in bytes; the bombs unpack to far more.
MEMORY = 250 * 2**20
SLIPPED = "/tmp/slipped.png"  # noqa: S108
PATIENT = {"PatientName": "Doe^Jane", "PatientID": "Doe4711", "PatientBirthDate": "19610403"}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's process puts temporary files, if it makes any."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def page(
    local_server: RunningServer, run_front_end: RunFrontEnd, temporary: Path
) -> Iterator[FrontEnd]:
    """The real page before the real model."""
    places = {"TMPDIR": str(temporary), "GRADIO_TEMP_DIR": str(temporary / "gradio")}
    with (
        patch.dict(os.environ, places),
        run_front_end("--server", local_server.grpc, *NO_RATE) as front_end,
    ):
        yield front_end


@pytest.fixture(scope="module")
def scan(samples: dict[str, list[Path]]) -> np.ndarray:
    """uint8 `[H, W]`, from 0 to 255."""
    grey = np.asarray(Image.open(samples["yes"][0]).convert("L"), float)
    return np.uint8((grey - grey.min()) / np.ptp(grey) * 255)


@pytest.fixture(scope="module")
def plain(page: FrontEnd, scan: np.ndarray) -> float:
    """P(tumour) of the scan as a plain PNG."""
    return probability(send(page.http, still(scan)))


def still(scan: np.ndarray, kind: str = "PNG") -> bytes:
    return encoded(Image.fromarray(scan), kind)


def rotated(scan: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(Image.fromarray(scan).transpose(Image.Transpose.ROTATE_90), exif=exif)


def volume(scan: np.ndarray) -> np.ndarray:
    return np.stack([scan] * 4, axis=2)


def peak(page: FrontEnd) -> int:
    """The most memory that the page's process ever had, in bytes."""
    status = Path(f"/proc/{page.pid}/status").read_text()
    return 1024 * next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))


def left_nothing(page: FrontEnd, temporary: Path) -> None:
    assert [one for one in temporary.rglob("*") if one.is_file()] == []
    assert page.log.read_text() == ""


def probability(answer: httpx.Response) -> float:
    assert answer.status_code == 200, answer.text
    return answer.json()["probability"]


def frames(scan: np.ndarray, kind: str) -> bytes:
    """An animation, or a document of two pages."""
    other = Image.fromarray(scan[::-1])
    return encoded(Image.fromarray(scan), kind, save_all=True, append_images=[other])


def zip_bomb() -> bytes:
    return packed({str(n): bytes(60 * 2**20) for n in range(9)})


#: What is sent, and the status and code that it is refused with.
REFUSED: dict[str, tuple[Callable[[np.ndarray], bytes], int, str]] = {
    "empty": (lambda _: b"", 422, "empty"),
    "text": (lambda _: b"a diary", 415, "unsupported_format"),
    "truncated PNG": (lambda scan: still(scan)[:-500], 422, "corrupt"),
    "truncated JPEG": (lambda scan: still(scan, "JPEG")[:4000], 422, "corrupt"),
    "truncated WebP": (lambda scan: still(scan, "WEBP")[:4000], 422, "corrupt"),
    "too large": (lambda scan: still(scan) + bytes(MAX_FILE_BYTES), 413, "too_large"),
    "bomb by header": (lambda _: png_header(30_000, 30_000), 422, "too_many_pixels"),
    "gzip bomb": (lambda _: gzip_bomb(), 422, "compression_ratio"),
    "ZIP bomb": (lambda _: zip_bomb(), 413, "too_large"),
    "one pixel": (lambda scan: still(scan[:1, :1]), 422, "too_small"),
    "20 by 3000": (lambda scan: still(np.resize(scan, (3000, 20))), 422, "too_small"),
    "blank": (lambda scan: still(np.full_like(scan, 90)), 422, "blank"),
    "animated PNG": (lambda scan: frames(scan, "PNG"), 422, "multiple_frames"),
    "animated WebP": (lambda scan: frames(scan, "WEBP"), 422, "multiple_frames"),
    "animated GIF": (lambda scan: frames(scan, "GIF"), 415, "unsupported_format"),
    "TIFF of two pages": (lambda scan: frames(scan, "TIFF"), 415, "unsupported_format"),
    "PDF": (lambda scan: still(scan, "PDF"), 415, "unsupported_format"),
    "SVG": (lambda _: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_format"),
    "HEIC": (lambda _: b"\0\0\0\x18ftypheic" + bytes(400), 415, "unsupported_format"),
    "empty ZIP": (lambda _: packed({}), 422, "empty_archive"),
    "office document": (lambda _: packed({"[Content_Types].xml": b""}), 415, "unsupported_format"),
    "DICOM cut short": (lambda scan: dicom(scan)[: scan.size // 2], 422, "corrupt"),
    "volume of NaN": (lambda scan: nifti(volume(scan) * np.float32(np.nan)), 422, "blank"),
    "volume of air": (lambda scan: nifti(volume(scan) * 0), 422, "blank"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_sentence(
    page: FrontEnd, temporary: Path, scan: np.ndarray, plain: float, name: str
) -> None:
    make, status, code = REFUSED[name]
    before = peak(page)
    answer = send(page.http, make(scan), name="scan.png")
    assert error_of(answer) == (status, code)
    assert peak(page) < before + MEMORY
    left_nothing(page, temporary)
    assert probability(send(page.http, still(scan))) == plain


TWINS: dict[str, Callable[[np.ndarray], bytes]] = {
    "16-bit": lambda scan: encoded(Image.fromarray(scan.astype(np.uint16) * 257)),
    "palette": lambda scan: encoded(Image.fromarray(scan).convert("P")),
    "RGBA": lambda scan: encoded(Image.fromarray(scan).convert("RGBA")),
    "WebP": lambda scan: encoded(Image.fromarray(scan), "WEBP", lossless=True),
    "EXIF-rotated": lambda scan: rotated(scan),
    "with an archive behind it": lambda scan: still(scan) + packed({"a.txt": b"not an image"}),
    "DICOM": lambda scan: dicom(scan, **EIGHT_BITS),
    "DICOM, MONOCHROME1": lambda scan: dicom(
        255 - scan, **EIGHT_BITS, PhotometricInterpretation="MONOCHROME1"
    ),
    "DICOM, compressed": lambda scan: dicom(
        scan, syntax=RLELossless, frames=[rle(scan)], **EIGHT_BITS
    ),
    "DICOM of a patient": lambda scan: dicom(scan, **EIGHT_BITS, **PATIENT),
    "in a ZIP, by a path out of it": lambda scan: packed({f"../../../..{SLIPPED}": still(scan)}),
}


@pytest.mark.parametrize("name", TWINS)
def test_answered_as_its_plain_twin(
    page: FrontEnd, temporary: Path, scan: np.ndarray, plain: float, name: str
) -> None:
    answer = send(page.http, TWINS[name](scan), name="Doe^Jane.png")
    assert probability(answer) == pytest.approx(plain, abs=TOLERANCE)
    left_nothing(page, temporary)
    for secret in ("Doe", "19610403"):
        assert secret not in answer.text
    assert not Path(SLIPPED).exists()


def test_cmyk_as_its_rgb_twin(page: FrontEnd, scan: np.ndarray) -> None:
    cmyk = encoded(Image.fromarray(scan).convert("CMYK"), "JPEG", quality=100)
    with Image.open(io.BytesIO(cmyk)) as image:
        twin = encoded(image.convert("RGB"))
    there, here = (probability(send(page.http, one)) for one in (cmyk, twin))
    assert there == pytest.approx(here, abs=TOLERANCE)


def test_volumes_slice_by_slice(page: FrontEnd, temporary: Path, scan: np.ndarray) -> None:
    """Frames of a DICOM file, and NIfTI volumes stored along different axes: the same answers."""
    stack = np.stack([scan, scan[::-1], scan.T])
    turned = np.diag([-1.0, -1.0, 5.0, 1.0])
    sent = {
        "frames": dicom(stack, **EIGHT_BITS),
        "volume": nifti(stack.transpose(2, 1, 0), turned),
        "other axes": nifti(stack, turned[:, [2, 1, 0, 3]]),
    }
    found = {}
    for name, payload in sent.items():
        answer = send(page.http, payload, "/api/v1/analyze")
        (study,) = answer.json()["results"]
        found[name] = [one["decision"]["probability"] for one in study["slices"]]
    singles = [probability(send(page.http, still(one))) for one in stack]
    assert found["frames"] == pytest.approx(singles, abs=TOLERANCE)
    # A volume has no window of its own: one is made of its voxels.
    assert found["volume"] == pytest.approx(singles, abs=0.01)
    assert found["other axes"] == pytest.approx(found["volume"], abs=TOLERANCE)
    left_nothing(page, temporary)


def test_a_long_strip_is_answered_with_a_warning(page: FrontEnd, scan: np.ndarray) -> None:
    strip = still(np.resize(scan, (3000, 32)))
    (one,) = send(page.http, strip, "/api/v1/analyze").json()["results"]
    assert one["slices"][0]["decision"] is not None
    assert "aspect" in [warning["code"] for warning in one["slices"][0]["warnings"]]


def test_of_twenty_with_a_bad_one_nineteen_are_answered(
    page: FrontEnd, scan: np.ndarray, plain: float
) -> None:
    files = [("file", (f"{n}.png", still(scan))) for n in range(20)]
    files[7] = ("file", ("7.png", still(scan)[:-500]))
    body = page.http.post("/api/v1/analyze", files=files).json()
    (refused,) = body["refused"]
    assert (refused["file"], refused["error"]["code"]) == (7, "corrupt")
    assert [study["file"] for study in body["results"]] == [n for n in range(20) if n != 7]
    for study in body["results"]:
        (one,) = study["slices"]
        assert one["decision"]["probability"] == pytest.approx(plain, abs=TOLERANCE)
