"""Where fuzzing begins: small good inputs of every kind, from the samples and the libraries' own files."""

import gzip
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from PIL import Image

from data.manifest import COLUMNS
from serving.contract import SIGNATURES
from serving.tensors import write_tensor
from serving.wire import messages_pb2 as wire
from tests.data.medical import dicom, encoded, nifti, packed, rle, series
from tests.serving.scripted import (
    good_json,
    good_outputs,
    metadata_json,
    metadata_response,
    predict_response,
)

ROOT: Final = Path(__file__).resolve().parents[2]
#: Larger inputs only cost executions.
MAX_BYTES: Final = 16 * 2**10
_SIDE: Final = 48


def seeds_of(target: str) -> list[bytes]:
    """Good inputs for a target, none longer than `MAX_BYTES`."""
    return [seed for seed in _SEEDS[target]() if len(seed) <= MAX_BYTES]


def _scan() -> Image.Image:
    with Image.open(ROOT / "data" / "samples" / "yes" / "cheng_0015_meningioma.jpg") as image:
        return image.convert("L").resize((_SIDE, _SIDE))


def _levels(dtype: type = np.uint8) -> np.ndarray:
    return np.asarray(_scan()).astype(dtype)


def _image() -> Iterator[bytes]:
    scan = _scan()
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in ("L", "RGB", "RGBA", "LA", "P", "1", "I;16"):
        yield encoded(
            scan.convert("I").convert(mode) if mode == "I;16" else scan.convert(mode), "PNG"
        )
    yield encoded(scan, "JPEG", exif=exif)
    yield encoded(scan, "JPEG", progressive=True)
    yield encoded(scan.convert("CMYK"), "JPEG")
    yield encoded(scan.convert("RGB"), "WEBP")
    yield encoded(scan.convert("RGBA"), "WEBP", lossless=True)
    yield encoded(scan, "PNG", save_all=True, append_images=[scan.rotate(90)])


def _dicom() -> Iterator[bytes]:
    yield from series([_levels()], WindowCenter=100, WindowWidth=90)
    yield dicom(_levels(np.int16), RescaleSlope=2, RescaleIntercept=-10, PixelPaddingValue=-1)
    yield dicom(np.stack([_levels()] * 2))
    yield dicom(np.stack([_levels()] * 3, axis=-1))
    yield dicom(_levels(), syntax="1.2.840.10008.1.2.5", frames=[rle(_levels())])
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        if path.stat().st_size <= MAX_BYTES:
            yield path.read_bytes()


def _nifti() -> Iterator[bytes]:
    volume = np.stack([_levels()[:32, :32]] * 2, axis=-1)
    yield nifti(volume)
    yield nifti(volume[..., :1].astype(np.int16), scl_slope=2.0, scl_inter=1.0)
    yield nifti(volume[..., :1].astype(np.float32), second=True)
    yield nifti(volume[..., :1].astype(">f8"), np.diag([1.0, -2.0, 5.0, 1.0]))
    yield gzip.compress(nifti(volume[..., :1]), mtime=0)
    yield nifti(volume[..., 0])


def _archive() -> Iterator[bytes]:
    scan = encoded(_scan(), "PNG")
    slices = series([_levels(), _levels()[::-1].copy()])
    yield packed({"a.png": scan, "b/c.png": scan})
    yield packed({f"{i}.dcm": one for i, one in enumerate(slices)})
    yield packed({"v.nii": nifti(np.stack([_levels()[:32, :32]] * 2, axis=-1))})
    yield packed({"a.png": scan}, zipfile.ZIP_STORED)
    yield packed({"../../a.png": scan, "__MACOSX/._a.png": b"x", "C:\\a\\b.png": scan})
    yield packed({"inner.zip": packed({"a.png": scan})})
    yield packed({"a.png": scan}, zipfile.ZIP_BZIP2)
    yield packed({})


def _rest_request() -> Iterator[bytes]:
    for document in (
        {"instances": [[1, 2, 3], [4, 5, 6]]},
        {"instances": [{"images": [1.5], "names": "a"}, {"images": [2], "names": {"b64": "AAEC"}}]},
        {"inputs": {"images": [[[0, 255]]], "names": ["a", {"b64": "/w=="}]}},
        {"inputs": [True, False], "signature_name": "explain"},
        {"inputs": {"b64": "AAAA"}},
        {"instances": []},
    ):
        yield json.dumps(document).encode()


def _grpc_request() -> Iterator[bytes]:
    words = np.array([b"a", b"\xff"], object)
    for as_content, inputs in (
        (True, {"images": np.arange(6, dtype=np.uint8).reshape(2, 3)}),
        (False, {"images": np.arange(6, dtype=np.uint8).reshape(2, 3)}),
        (False, {"images": np.ones((1, 2), np.float32)}),
        (True, {"images": np.zeros(3, np.bool_)}),
        (True, {"images": words}),
        (True, {"images": np.arange(2), "names": words}),
    ):
        request = wire.PredictRequest(output_filter=["label"])
        request.model_spec.name = "brain_tumor"
        for name, array in inputs.items():
            write_tensor(array, request.inputs[name], packed=as_content)
        yield request.SerializeToString()


def _models_config() -> Iterator[bytes]:
    yield b"""model_config_list { config {
  name: "brain_tumor" base_path: "/models/brain_tumor" model_platform: "tensorflow"
  model_version_policy { specific { versions: 1 versions: 2 } }
  version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }
} config { name: 'b' base_path: '/b' model_version_policy { latest { num_versions: 2 } } } }
"""
    yield b"model_config_list: { config: { name: 'a', base_path: '\\x2fa'; model_version_policy { all {} }}}"
    yield b"custom_model_config { [type.googleapis.com/tensorflow.serving.ModelServerConfig] { } }"


def _batching_config() -> Iterator[bytes]:
    yield b"""max_batch_size { value: 32 } batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 } num_batch_threads { value: 2 }
thread_pool_name { value: "pool" } allowed_batch_sizes: 8 allowed_batch_sizes: 32
"""
    yield b"allowed_batch_sizes: [1, 4, 32] max_batch_size { value: 0x20 }"
    yield b'prometheus_config { enable: true path: "/metrics" }'


def _sums() -> Iterator[bytes]:
    yield b"%s  plots/curves.png\n%s *model_card.json\n" % (b"0" * 64, b"a1" * 32)


def _card() -> Iterator[bytes]:
    rate = {"value": 0.97, "low": 0.9, "high": 0.99}
    band = {"n": 120, "tumor_rate": rate}
    card = {
        "version": 2, "created": "2026-11-24T12:00:00Z", "git_commit": "abcdef0",
        "thresholds": {"low": 0.1, "label": 0.5, "high": 0.9},
        "metrics": {"test": {"auc": rate, "n": 300}},
        "decisions": {"test": {"risk": {"low": band, "medium": band, "high": band}}},
    }  # fmt: skip
    yield json.dumps(card).encode()


def _rest_answer() -> Iterator[bytes]:
    yield json.dumps({"outputs": good_json()}).encode()
    yield json.dumps(metadata_json(1, SIGNATURES)).encode()
    yield b'{"model_version_status":[{"version":"1","state":"AVAILABLE","status":{"error_code":"OK"}}]}'
    yield b'{"error":"Servable not found for request: Latest(brain_tumor)"}'


def _grpc_answer() -> Iterator[bytes]:
    yield predict_response(1, good_outputs()).SerializeToString()
    yield metadata_response(1, SIGNATURES).SerializeToString()
    status = wire.GetModelStatusResponse()
    status.model_version_status.add(version=1, state="AVAILABLE")
    yield status.SerializeToString()


def _manifest() -> Iterator[bytes]:
    yield (
        f"{','.join(COLUMNS)}\n"
        f"train/yes/a.png,tumor,hospital,train,g1,p1,t1c,,{'a' * 64},yes/a.jpg,low_contrast,512,512\n"
        f'val/no/b.png,no_tumor,"a ""b""",val,g2,,,odd;size,{"b" * 64},"no/b,c.jpg",,0,0\n'
    ).encode()


def _form() -> Iterator[bytes]:
    part = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    body = part % (b"file", b'; filename="a.png"', b"scan") + part % (b"name", b"", b"text")
    yield b"multipart/form-data; boundary=x\n" + body + b"--x--\r\n"
    yield b"multipart/form-data; boundary=x; charset=latin-1\n" + body * 4 + b"--x--\r\n"


def _event() -> Iterator[bytes]:
    yield b'{"data":["data:image/png;base64,AAAA",true,null],"fn_index":0,"session_hash":"abc"}'


_SEEDS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "image": _image,
    "dicom": _dicom,
    "nifti": _nifti,
    "archive": _archive,
    "rest_request": _rest_request,
    "grpc_request": _grpc_request,
    "models_config": _models_config,
    "batching_config": _batching_config,
    "sums": _sums,
    "card": _card,
    "rest_answer": _rest_answer,
    "grpc_answer": _grpc_answer,
    "manifest": _manifest,
    "form": _form,
    "event": _event,
}
