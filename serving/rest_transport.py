"""Calling a model server over REST: the same answers as gRPC, for where only HTTP passes."""

import base64
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from serving.contract import RGB, SIGNATURES, Signature, TensorSpec
from serving.errors import (
    CallCancelled,
    ContractError,
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)
from serving.tensors import Arrays
from serving.transport import Call, Choice, Metadata, Outputs, Server, T

#: gRPC's codes as TensorFlow Serving turns them into statuses.
_ERROR_OF_STATUS: Final[dict[int, type[ServingError]]] = {
    404: ModelNotFound,
    408: DeadlineExceeded,
    429: ServerOverloaded,
    499: CallCancelled,
    503: ServerUnavailable,
    504: DeadlineExceeded,
}
#: What JSON must hold for a tensor's type. NumPy would take true for 1.0 and "false" for true.
_JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {"bool": (bool,), "float32": (int, float)}


class RestCodec:
    """TensorFlow Serving's JSON, in column form; see `serving.transport.Codec`."""

    names_version = False

    def __init__(self, server: Server) -> None:
        self._server = server
        self._path = f"/v1/models/{quote(server.model, safe='')}"

    def scans(self, images: NDArray[np.uint8]) -> tuple[str, Arrays]:
        """See `Codec.scans`: base64 of the bytes; `serving/README.md` has what a list would cost."""
        texts = np.empty(len(images), object)
        texts[:] = [image.tobytes() for image in images]
        return RGB, {"rgb_bytes": texts}

    def predict(self, signature: str, inputs: Arrays, choice: Choice) -> Call[Outputs]:
        """See `Codec.predict`."""
        specs = SIGNATURES[signature].outputs

        def read(answer: Any) -> Outputs:
            outputs = answer["outputs"]
            if len(specs) == 1:  # a single output comes without its name
                outputs = {next(iter(specs)): outputs}
            arrays = {name: _from_json(outputs[name], spec) for name, spec in specs.items()}
            return Outputs(arrays, None)

        columns = {name: _to_json(array) for name, array in inputs.items()}
        document = {"signature_name": signature, "inputs": columns}
        body = json.dumps(document, separators=(",", ":")).encode()
        return Call(f"{self._at(choice)}:predict", body, self._reader("an answer", read))

    def metadata(self, choice: Choice) -> Call[Metadata]:
        """See `Codec.metadata`."""
        return Call(
            f"{self._at(choice)}/metadata", None, self._reader("its metadata", _read_metadata)
        )

    def status(self) -> Call[dict[int, str]]:
        """See `Codec.status`."""
        return Call(self._path, None, self._reader("its status", _read_status))

    def _at(self, choice: Choice) -> str:
        if isinstance(choice, int):
            return f"{self._path}/versions/{choice}"
        return self._path if choice is None else f"{self._path}/labels/{quote(choice, safe='')}"

    def _reader(self, what: str, read: Callable[[Any], T]) -> Callable[[bytes], T]:
        """From bytes of JSON, through `read`, with one error for whatever it does not find there."""

        def checked(answer: bytes) -> T:
            try:
                return read(json.loads(answer))
            except (
                AttributeError,
                KeyError,
                OverflowError,
                RecursionError,
                TypeError,
                ValueError,
            ) as error:
                raise ContractError(
                    f"The model server at {self._server.address} sent {what} that makes no sense."
                ) from error

        return checked


def error_of(status: int, body: bytes) -> tuple[type[ServingError], str]:
    """What an HTTP answer other than 2xx means, and the server's words for it."""
    try:
        details = str(json.loads(body)["error"])
    except (KeyError, RecursionError, TypeError, ValueError):
        details = ""
    kind = _ERROR_OF_STATUS.get(status)
    if kind is None:
        kind = RequestRejected if 400 <= status < 500 else ContractError
    return kind, details or f"status {status}"


def _read_status(answer: Any) -> dict[int, str]:
    return {int(row["version"]): str(row["state"]) for row in answer["model_version_status"]}


def _read_metadata(answer: Any) -> Metadata:
    found = answer["metadata"]["signature_def"]["signature_def"]
    return Metadata(
        version=int(answer["model_spec"]["version"]),
        signatures={
            name: Signature(_specs(one["inputs"]), _specs(one["outputs"]))
            for name, one in found.items()
            if not name.startswith("__")
        },
    )


def _to_json(array: NDArray[Any]) -> Any:
    if array.dtype == object:
        return [{"b64": base64.b64encode(element).decode()} for element in array.ravel()]
    return array.tolist()


def _from_json(values: Any, spec: TensorSpec) -> NDArray[Any]:
    if spec.dtype == "string":
        return np.array([_text(value) for value in values], dtype=object)
    elements = np.array(values, dtype=object)
    if any(type(element) not in _JSON_TYPES[spec.dtype] for element in elements.ravel()):
        raise ValueError(f"not all elements are {spec.dtype}")
    with np.errstate(over="ignore"):  # becomes infinite, which the client refuses
        return elements.astype(spec.dtype)


def _text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["b64"], validate=True)


def _specs(infos: dict[str, Any]) -> dict[str, TensorSpec]:
    """Signature tensors from the REST metadata, whose types are named DT_FLOAT and the like."""
    names = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}
    specs = {}
    for name, info in infos.items():
        sizes = [int(dim["size"]) for dim in info["tensor_shape"].get("dim", [])]
        dtype = names.get(info["dtype"], info["dtype"].removeprefix("DT_").lower())
        specs[name] = TensorSpec(dtype, tuple(None if size < 0 else size for size in sizes))
    return specs
