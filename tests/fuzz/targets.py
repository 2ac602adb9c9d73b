"""What is fuzzed: every parser of ours, the errors it documents, and what holds for what it lets through.

A target takes bytes. Whatever else it raises than the errors named in it is a defect.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from data.archive import MAX_UNPACKED_BYTES, read_archive
from data.imaging import ScanError, decode_scan, letterbox
from data.manifest import DatasetError, read_manifest, write_manifest
from data.quality import check_quality
from data.reading import read_studies
from data.studies import RefusedFile, ScanFile
from serving.answers import (
    check_contract,
    check_outputs,
    read_card,
    read_predictions,
    read_thresholds,
)
from serving.errors import ContractError, RequestRejected
from serving.grpc_transport import GrpcCodec
from serving.rest_transport import RestCodec, error_of
from serving.transport import Call, Codec, Server
from serving.versions import VersionError
from ui.failures import AnalysisError

Target = Callable[[bytes], None]

_CODE: Final = re.compile(r"[a-z][a-z0-9_]+")


def image(payload: bytes) -> None:
    """PNG, JPEG, WebP."""
    with _refusing(ScanError):
        picture = decode_scan(payload)
        assert letterbox(picture, size=32).shape == (32, 32, 3)  # 224 would cost more than the rest
        check_quality(picture)


def studies(payload: bytes) -> None:
    """DICOM, NIfTI and whatever else `read_studies` takes."""
    for found in read_studies([ScanFile("scan", payload)]):
        if isinstance(found, RefusedFile):
            _check_refusal(found.error)
        else:
            for one in found.slices:
                _check_image(one.image)


def archive(payload: bytes) -> None:
    """ZIP: the bounds of the archive itself, then its members as scans."""
    unpacked = 0
    with _refusing(ScanError):
        for member in read_archive(payload):
            path = Path(member.path)
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert member.path.isprintable()
            with _refusing(ScanError):
                unpacked += len(member.read())
    assert unpacked <= MAX_UNPACKED_BYTES
    studies(payload)


def rest_request(payload: bytes) -> None:
    """The local server's predict requests as JSON, for signatures of every type that it tells apart."""
    from serving.local.errors import RequestError
    from serving.local.rest_json import parse_body, read_inputs

    for definition in _definitions():
        with _refusing(RequestError):
            _check_inputs(definition, read_inputs(parse_body(payload), definition.inputs))


def grpc_request(payload: bytes) -> None:
    """The same as messages; what is no message, gRPC itself refuses."""
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    from serving.local.errors import RequestError
    from serving.local.grpc_api import read_inputs

    with suppress(DecodeError):
        request = PredictRequest.FromString(payload)
        for definition in _definitions():
            with _refusing(RequestError):
                _check_inputs(definition, read_inputs(request, definition))


def models_config(payload: bytes) -> None:
    """`--model_config_file`, as the server and as `python -m serving label` read it."""
    from serving.local.config import ConfigError, read_models
    from serving.release.model_config import ConfigFile

    path = _file("models.config", payload)
    with _refusing(ConfigError):
        for model in read_models(path):
            model.policy.choose([1, 2, 3])
    with _refusing(VersionError):
        ConfigFile(path, "brain_tumor", path.parent).read()


def batching_config(payload: bytes) -> None:
    """`--batching_parameters_file` and `--monitoring_config_file`."""
    from serving.local.config import ConfigError, read_batching, read_monitoring

    path = _file("batching.config", payload)
    for read in (read_batching, read_monitoring):
        with _refusing(ConfigError):
            read(path)


def sums(payload: bytes) -> None:
    """`SHA256SUMS`, as version tools and page read it."""
    from serving.release.digest import check
    from ui.model_routes import ModelDirectory

    folder = _file("1/SHA256SUMS", payload).parent
    (folder / "plots").mkdir(exist_ok=True)
    (folder / "plots" / "curves.png").write_bytes(b"plot")
    assert str(check(folder))
    directory = ModelDirectory(folder.parent)
    for name in (*directory.plots(1), "curves.png"):
        directory.plot(1, name)


def card(payload: bytes) -> None:
    """`model_card.json`, as version tools, client and page read it, and what the report makes of it."""
    from serving.release.inventory import summarise
    from ui.model_routes import ModelDirectory

    path = _file("2/model_card.json", payload)
    summarise(path.parent)
    _check_card(ModelDirectory(path.parent.parent).card(2))
    with _refusing(ContractError):
        found = read_card({"card": np.array([payload], object)})
        _check_card(found)
        thresholds = read_thresholds(found)
        assert 0 <= thresholds.low <= thresholds.label <= thresholds.high <= 1


def rest_answer(payload: bytes) -> None:
    """What a model server may say over REST: answers, metadata, states, errors."""
    _read_answer(RestCodec, payload)
    error_of(500, payload)


def grpc_answer(payload: bytes) -> None:
    """And over gRPC, where errors are no message of ours."""
    _read_answer(GrpcCodec, payload)


def manifest(payload: bytes) -> None:
    """`manifest.csv` of a prepared dataset, read; what is read is the same once written."""
    folder = _file("dataset/manifest.csv", payload).parent
    with _refusing(DatasetError):
        scans = read_manifest(folder)
        write_manifest(folder, scans)
        assert read_manifest(folder) == scans


def form(payload: bytes) -> None:
    """A form with a file, as a browser sends it, its first line being the Content-Type."""
    from starlette.requests import Request

    from ui.uploads import read_form

    kind, _, body = payload.partition(b"\n")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind)]}
    reading = read_form(Request(scope, receive), max_files=3)
    # All is in memory: there is nothing to wait for.
    with closing(reading), _refusing(AnalysisError), suppress(StopIteration):
        reading.send(None)
        raise AssertionError("the form waits for something")


def event(payload: bytes) -> None:
    """The body of one of Gradio's events, from which scans are taken before Gradio sees it."""
    from ui.guard import _plain_values

    values = _plain_values(payload)
    if values is not None:
        json.dumps(values)


TARGETS: Final[dict[str, Target]] = {
    "image": image,
    "dicom": studies,
    "nifti": studies,
    "archive": archive,
    "rest_request": rest_request,
    "grpc_request": grpc_request,
    "models_config": models_config,
    "batching_config": batching_config,
    "sums": sums,
    "card": card,
    "rest_answer": rest_answer,
    "grpc_answer": grpc_answer,
    "manifest": manifest,
    "form": form,
    "event": event,
}


@contextmanager
def _refusing(*errors: type[Exception]) -> Iterator[None]:
    """Let documented errors pass that have something to say."""
    try:
        yield
    except errors as error:
        _check_refusal(error)


def _check_refusal(error: Exception) -> None:
    assert str(error)
    if isinstance(error, ScanError):
        assert _CODE.fullmatch(error.code)
        assert str(error).endswith(".")


def _check_inputs(definition: Any, inputs: dict[str, np.ndarray]) -> None:
    """What the server does next: checks, then tensors."""
    import tensorflow as tf

    from serving.local.signatures import check_inputs

    check_inputs(definition, inputs)
    for name, array in inputs.items():
        tf.constant(array, tf.DType(definition.inputs[name].dtype))


def _read_answer(kind: type[Codec], payload: bytes) -> None:
    signature, predict, metadata, status = _calls(kind)
    with _refusing(ContractError, RequestRejected):
        outputs = predict.read(payload)
        check_outputs(signature, outputs.arrays, 1)
        (prediction,) = read_predictions(outputs.arrays)
        assert 0 <= prediction.confidence <= 1
    with _refusing(ContractError):
        check_contract(metadata.read(payload))
    with _refusing(ContractError):
        status.read(payload)


@cache
def _calls(kind: type[Codec]) -> tuple[str, Call[Any], Call[Any], Call[Any]]:
    codec = kind(Server("http://server:8501", "brain_tumor"))
    signature, inputs = codec.scans(np.zeros((1, 224, 224, 3), np.uint8))
    return signature, codec.predict(signature, inputs, 1), codec.metadata(None), codec.status()


def _check_card(found: dict[str, Any] | None) -> None:
    """What the page makes of a card: an answer of its API, and a line of the report."""
    from ui.report import _band
    from ui.words import words_of

    if found is not None:
        json.dumps(found, allow_nan=False)
        for risk in ("low", "medium", "high"):
            assert "NaN" not in _band(words_of("de"), found, risk)


def _check_image(image: np.ndarray) -> None:
    assert image.dtype == np.uint8
    assert image.shape == (224, 224, 3)


def _file(name: str, payload: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(payload)
    return path


@cache
def _folder() -> Path:
    _KEPT.append(tempfile.TemporaryDirectory(prefix="fuzz"))
    return Path(_KEPT[-1].name)


#: Removed as the process ends, unless libFuzzer ends it.
_KEPT: list[tempfile.TemporaryDirectory] = []


@cache
def _definitions() -> tuple[Any, ...]:
    """Signatures whose inputs may have any shape."""
    from tensorflow.core.framework import types_pb2 as types
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

    found = []
    for inputs in (
        {"images": types.DT_UINT8},
        {"images": types.DT_FLOAT},
        {"images": types.DT_STRING},
        {"images": types.DT_BOOL},
        {"images": types.DT_INT64, "names": types.DT_STRING},
    ):
        definition = SignatureDef()
        for name, dtype in inputs.items():
            definition.inputs[name].dtype = dtype
            definition.inputs[name].tensor_shape.unknown_rank = True
        found.append(definition)
    return tuple(found)
