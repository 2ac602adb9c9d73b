"""Calling a model server over REST: the same answers as gRPC, for where only HTTP passes."""

import base64
import json
import time
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import requests
import urllib3
from numpy.typing import NDArray
from requests.adapters import HTTPAdapter

from serving.contract import SIGNATURES, Signature, TensorSpec
from serving.errors import (
    ContractError,
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)
from serving.transport import Arrays, Metadata, explained

_ERROR_OF_STATUS: Final[dict[int, type[ServingError]]] = {
    404: ModelNotFound,
    408: DeadlineExceeded,
    429: ServerOverloaded,
    503: ServerOverloaded,
    504: DeadlineExceeded,
}
#: What JSON must hold for a tensor's type. NumPy would take true for 1.0 and "false" for true.
_JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {"bool": (bool,), "float32": (int, float)}
#: As for gRPC.
_MAX_ANSWER_BYTES: Final = 64 * 2**20
_CONNECTIONS: Final = 32
AVAILABLE: Final = "AVAILABLE"


class RestTransport:
    """See `serving.transport.Transport`."""

    def __init__(self, address: str, model: str) -> None:
        self._address, self._model = address, model
        self._url = f"{address.rstrip('/')}/v1/models/{quote(model, safe='')}"
        self._session = requests.Session()
        # Proxies and credentials of the environment must not see scans on their way to the server.
        self._session.trust_env = False
        adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)  # one for each thread that calls
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def predict(
        self, signature: str, inputs: Arrays, version: int | None, timeout_s: float
    ) -> tuple[Arrays, int]:
        """See `Transport.predict`.

        A REST answer does not name its version, so the call is pinned to the newest one; should that
        be unloaded between the two requests, the then newest is asked.
        """
        clock = _Clock(timeout_s)
        if version is not None:
            return self._predict(signature, inputs, version, clock), version
        newest = self._newest(clock)
        try:
            return self._predict(signature, inputs, newest, clock), newest
        except ModelNotFound:
            newest = self._newest(clock)
            return self._predict(signature, inputs, newest, clock), newest

    def status(self, timeout_s: float) -> dict[int, str]:
        """See `Transport.status`."""
        return self._status(_Clock(timeout_s))

    def _status(self, clock: "_Clock") -> dict[int, str]:
        answer = self._request("GET", self._url, clock)
        try:
            rows = answer["model_version_status"]
            return {int(row["version"]): str(row["state"]) for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable("its status") from error

    def metadata(self, version: int | None, timeout_s: float) -> Metadata:
        """See `Transport.metadata`."""
        url = self._url if version is None else f"{self._url}/versions/{version}"
        answer = self._request("GET", f"{url}/metadata", _Clock(timeout_s))
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            return Metadata(
                version=int(answer["model_spec"]["version"]),
                signatures={
                    name: Signature(_specs(one["inputs"]), _specs(one["outputs"]))
                    for name, one in found.items()
                    if not name.startswith("__")
                },
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._unreadable("its metadata") from error

    def close(self) -> None:
        """See `Transport.close`."""
        self._session.close()

    def _newest(self, clock: "_Clock") -> int:
        versions = [v for v, state in self._status(clock).items() if state == AVAILABLE]
        if not versions:
            details = "no version is available"
            raise explained(ModelNotFound, self._address, self._model, clock.timeout_s, details)
        return max(versions)

    def _predict(self, signature: str, inputs: Arrays, version: int, clock: "_Clock") -> Arrays:
        body = {
            "signature_name": signature,
            "inputs": {name: _to_json(array) for name, array in inputs.items()},
        }
        url = f"{self._url}/versions/{version}:predict"
        answer = self._request("POST", url, clock, body)
        specs = SIGNATURES[signature].outputs
        try:
            outputs = answer["outputs"]
            if len(specs) == 1:  # a single output comes without its name
                outputs = {next(iter(specs)): outputs}
            return {name: _from_json(outputs[name], spec) for name, spec in specs.items()}
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise self._unreadable("an answer") from error

    def _request(
        self, method: str, url: str, clock: "_Clock", body: dict[str, Any] | None = None
    ) -> Any:
        def failed(kind: type[ServingError], details: str) -> ServingError:
            return explained(kind, self._address, self._model, clock.timeout_s, details)

        try:
            with self._session.request(
                method, url, json=body, timeout=clock.left(), allow_redirects=False, stream=True
            ) as response:
                content = _read(response, clock)
        except (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise failed(DeadlineExceeded, "") from error
        except (requests.ConnectionError, urllib3.exceptions.ProtocolError) as error:
            raise failed(ServerUnavailable, "") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OverflowError) as error:
            raise failed(ContractError, f"no valid HTTP: {type(error).__name__}") from error
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            if response.ok:
                raise self._unreadable("an answer") from error
            answer = None
        if response.ok:
            return answer
        details = str(answer["error"]) if isinstance(answer, dict) and "error" in answer else ""
        kind = _ERROR_OF_STATUS.get(response.status_code)
        if kind is None:
            kind = RequestRejected if 400 <= response.status_code < 500 else ContractError
        raise failed(kind, details or f"status {response.status_code}")

    def _unreadable(self, what: str) -> ContractError:
        return ContractError(
            f"The model server at {self._address} sent {what} that makes no sense."
        )


class _Clock:
    """What is left of a call's time, over all the requests that it takes."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s

    def left(self) -> float:
        """Seconds, more than 0.

        Raises:
            TimeoutError: none is left.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def _read(response: requests.Response, clock: _Clock) -> bytes:
    """The body of an answer. The timeout of `requests` starts anew with every byte; this does not.

    Raises:
        OverflowError: the body is larger than any answer.
        TimeoutError: the clock ran out.
    """
    content = bytearray()
    while True:
        seconds = clock.left()
        connection = response.raw.connection
        # There is none once the body has been read, and no socket if the server closes after it.
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(seconds)
        chunk = response.raw.read1(2**16, decode_content=True)
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > _MAX_ANSWER_BYTES:
            raise OverflowError


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
