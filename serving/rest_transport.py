"""Calling a model server over REST: the same answers as gRPC, for where only HTTP passes."""

import base64
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import requests
from numpy.typing import NDArray

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
_DTYPES: Final = {"bool": np.bool_, "float32": np.float32, "string": object}
AVAILABLE: Final = "AVAILABLE"


class RestTransport:
    """See `serving.transport.Transport`."""

    def __init__(self, address: str, model: str) -> None:
        self._address, self._model = address, model
        self._url = f"{address.rstrip('/')}/v1/models/{quote(model, safe='')}"
        self._session = requests.Session()
        # Proxies and credentials of the environment must not see scans on their way to the server.
        self._session.trust_env = False

    def predict(
        self, signature: str, inputs: Arrays, version: int | None, timeout_s: float
    ) -> tuple[Arrays, int]:
        """See `Transport.predict`.

        A REST answer does not name its version, so the call is pinned to the newest one; should that
        be unloaded between the two requests, the then newest is asked.
        """
        if version is not None:
            return self._predict(signature, inputs, version, timeout_s), version
        newest = self._newest(timeout_s)
        try:
            return self._predict(signature, inputs, newest, timeout_s), newest
        except ModelNotFound:
            newest = self._newest(timeout_s)
            return self._predict(signature, inputs, newest, timeout_s), newest

    def status(self, timeout_s: float) -> dict[int, str]:
        """See `Transport.status`."""
        answer = self._request("GET", self._url, timeout_s)
        try:
            rows = answer["model_version_status"]
            return {int(row["version"]): str(row["state"]) for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable("its status") from error

    def metadata(self, version: int | None, timeout_s: float) -> Metadata:
        """See `Transport.metadata`."""
        url = self._url if version is None else f"{self._url}/versions/{version}"
        answer = self._request("GET", f"{url}/metadata", timeout_s)
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
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable("its metadata") from error

    def close(self) -> None:
        """See `Transport.close`."""
        self._session.close()

    def _newest(self, timeout_s: float) -> int:
        versions = [v for v, state in self.status(timeout_s).items() if state == AVAILABLE]
        if not versions:
            details = "no version is available"
            raise explained(ModelNotFound, self._address, self._model, timeout_s, details)
        return max(versions)

    def _predict(self, signature: str, inputs: Arrays, version: int, timeout_s: float) -> Arrays:
        body = {
            "signature_name": signature,
            "inputs": {name: _to_json(array) for name, array in inputs.items()},
        }
        url = f"{self._url}/versions/{version}:predict"
        answer = self._request("POST", url, timeout_s, body)
        specs = SIGNATURES[signature].outputs
        try:
            outputs = answer["outputs"]
            if len(specs) == 1:  # a single output comes without its name
                outputs = {next(iter(specs)): outputs}
            return {name: _from_json(outputs[name], spec) for name, spec in specs.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable("an answer") from error

    def _request(
        self, method: str, url: str, timeout_s: float, body: dict[str, Any] | None = None
    ) -> Any:
        def failed(kind: type[ServingError], details: str) -> ServingError:
            return explained(kind, self._address, self._model, timeout_s, details)

        try:
            response = self._session.request(
                method, url, json=body, timeout=timeout_s, allow_redirects=False
            )
        except requests.Timeout as error:
            raise failed(DeadlineExceeded, "") from error
        except requests.ConnectionError as error:
            raise failed(ServerUnavailable, "") from error
        except requests.RequestException as error:
            raise failed(ContractError, f"no valid HTTP: {type(error).__name__}") from error
        try:
            answer = response.json()
        except ValueError as error:
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


def _to_json(array: NDArray[Any]) -> Any:
    if array.dtype == object:
        return [{"b64": base64.b64encode(element).decode()} for element in array.ravel()]
    return array.tolist()


def _from_json(values: Any, spec: TensorSpec) -> NDArray[Any]:
    if spec.dtype == "string":
        texts = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v.encode() for v in values]
        return np.array(texts, dtype=object)
    return np.array(values, dtype=_DTYPES[spec.dtype])


def _specs(infos: dict[str, Any]) -> dict[str, TensorSpec]:
    """Signature tensors from the REST metadata, whose types are named DT_FLOAT and the like."""
    names = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}
    specs = {}
    for name, info in infos.items():
        sizes = [int(dim["size"]) for dim in info["tensor_shape"].get("dim", [])]
        dtype = names.get(info["dtype"], info["dtype"].removeprefix("DT_").lower())
        specs[name] = TensorSpec(dtype, tuple(None if size < 0 else size for size in sizes))
    return specs
