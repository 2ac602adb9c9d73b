"""Real gRPC and HTTP servers that do as they are told, and one way to drive both clients.

Without orders every version fulfils the contract, and P(tumour) is a hundredth of the version number, so
that a test sees from the answer alone who made it.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np

from serving.client import AsyncClient, Client
from serving.contract import SIGNATURES, Signature
from serving.tensors import read_tensor, write_tensor
from serving.wire import messages_pb2 as wire
from serving.wire.methods import GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT

#: One for gRPC, one for REST.
CLIENTS = ["sync", "async"]


class Blocking:
    """An `AsyncClient` with the face of a `Client`, so that one test is for both."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*args, **kwargs)

    def __enter__(self) -> "Blocking":
        return self

    def __exit__(self, *_: Any) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))


def open_client(kind: str, *args: Any, **kwargs: Any) -> Any:
    """A client, "sync" or "async"; the latter behind blocking methods. Patient, unless told otherwise."""
    kwargs.setdefault("timeout_s", 60.0)
    return (Client if kind == "sync" else Blocking)(*args, **kwargs)


def good_outputs(n: int = 1, probability: float = 0.7) -> dict[str, np.ndarray]:
    """Outputs of `serving_default` that fulfil the contract."""
    texts = lambda text: np.array([text] * n, object)  # noqa: E731
    return {
        "probability": np.full(n, probability, np.float32),
        "label": texts(b"tumor"),
        "risk": texts(b"medium"),
        "in_distribution": np.ones(n, np.bool_),
        "ood_score": np.zeros(n, np.float32),
    }


def good_json(n: int = 1, probability: float = 0.7) -> dict[str, list[Any]]:
    """The same of `rgb`, as JSON."""
    outputs = {
        name: [one.decode() if isinstance(one, bytes) else one for one in array.tolist()]
        for name, array in good_outputs(n, probability).items()
    }
    return outputs | {"error": [""] * n}


def predict_response(version: int, outputs: dict[str, np.ndarray]) -> wire.PredictResponse:
    """An answer of one version."""
    response = wire.PredictResponse()
    response.model_spec.version.value = version
    for name, array in outputs.items():
        write_tensor(array, response.outputs[name])
    return response


@dataclass
class Script:
    """What a server does; a test changes it at any time.

    Attributes:
        versions: those that answer; the last is the newest.
        labels: version by label.
        signatures: of every version, or by version where they differ.
        on_predict: called before each prediction with its number from 0; may change the script, or
            return a gRPC code or HTTP status to fail with.
        seen: the requests, in order: `predict 1`, `metadata newest`, `predict stable` and the like.
        sizes: images in each prediction that was answered.
    """

    versions: list[int] = field(default_factory=lambda: [1])
    labels: dict[str, int] = field(default_factory=dict)
    signatures: dict[int, dict[str, Signature]] = field(default_factory=dict)
    on_predict: Callable[[int], Any] = lambda _number: None
    seen: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def resolve(self, verb: str, which: int | str | None) -> tuple[Any, int | None]:
        """What `on_predict` says, and the version that answers, None if none does."""
        number = sum(line.startswith("predict") for line in self.seen)
        self.seen.append(f"{verb} {which or 'newest'}")
        order = self.on_predict(number) if verb == "predict" else None
        if isinstance(which, str):
            return order, self.labels.get(which)
        version = which or (self.versions[-1] if self.versions else None)
        return order, version if version in self.versions else None

    def signatures_of(self, version: int) -> dict[str, Signature]:
        """By name."""
        return self.signatures.get(version, SIGNATURES)


@contextmanager
def grpc_server(script: Script, port: int = 0) -> Iterator[str]:
    """Run a script over gRPC; its address."""

    def predict(request: Any, context: grpc.ServicerContext) -> Any:
        code, version = script.resolve("predict", _which(request.model_spec))
        if code is not None:
            context.abort(code, "as told")
        if version is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request")
        if request.model_spec.signature_name == "card":
            card = {"version": version, "thresholds": {"low": 0.1, "label": 0.5, "high": 0.9}}
            texts = np.array([json.dumps(card).encode()], object)
            return predict_response(version, {"card": texts})
        count = len(read_tensor(request.inputs["images"]))
        script.sizes.append(count)
        return predict_response(version, good_outputs(count, version / 100))

    def metadata(request: Any, context: grpc.ServicerContext) -> Any:
        _, version = script.resolve("metadata", _which(request.model_spec))
        if version is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request")
        return metadata_response(version, script.signatures_of(version))

    with raw_grpc_server({PREDICT: predict, GET_MODEL_METADATA: metadata}, port) as address:
        yield address


@contextmanager
def raw_grpc_server(methods: dict[str, Callable[[Any, Any], Any]], port: int = 0) -> Iterator[str]:
    """Run functions of a request and a context, by method path; the address.

    GetModelMetadata tells of a good version 1 unless it is among them.
    """
    requests = {
        PREDICT: wire.PredictRequest,
        GET_MODEL_METADATA: wire.GetModelMetadataRequest,
        GET_MODEL_STATUS: wire.GetModelStatusRequest,
    }
    methods = {GET_MODEL_METADATA: lambda *_: metadata_response(1, SIGNATURES)} | methods
    # A batch of 32 scans is more than gRPC's default of 4 MB; no server shares its port.
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(4), options=options)
    for path, behave in methods.items():
        service, method = path.strip("/").split("/")
        handler = grpc.unary_unary_rpc_method_handler(
            behave, requests[path].FromString, lambda message: message.SerializeToString()
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {method: handler}),)
        )
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def metadata_response(
    version: int, signatures: dict[str, Signature]
) -> wire.GetModelMetadataResponse:
    """What TensorFlow Serving tells of a version with these signatures."""
    numbers = {"uint8": 4, "string": 7, "float32": 1, "bool": 10, "float64": 2}
    found = wire.SignatureDefMap()
    for name, signature in signatures.items():
        one = found.signature_def[name]
        for infos, specs in ((one.inputs, signature.inputs), (one.outputs, signature.outputs)):
            for tensor, spec in specs.items():
                infos[tensor].dtype = numbers[spec.dtype]
                for size in spec.shape:
                    infos[tensor].tensor_shape.dim.add(size=-1 if size is None else size)
    response = wire.GetModelMetadataResponse()
    response.model_spec.version.value = version
    response.metadata["signature_def"].value = found.SerializeToString()
    return response


def metadata_json(version: int, signatures: dict[str, Signature]) -> dict[str, Any]:
    """The same over REST."""
    names = {"uint8": "DT_UINT8", "string": "DT_STRING", "float32": "DT_FLOAT", "bool": "DT_BOOL"}

    def infos(specs: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {
                "dtype": names.get(spec.dtype, "DT_DOUBLE"),
                "tensor_shape": {
                    "dim": [{"size": "-1" if size is None else str(size)} for size in spec.shape]
                },
            }
            for name, spec in specs.items()
        }

    found = {
        name: {"inputs": infos(one.inputs), "outputs": infos(one.outputs)}
        for name, one in signatures.items()
    }
    return {
        "model_spec": {"name": "brain_tumor", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": found}},
    }


@contextmanager
def rest_server(script: Script, port: int = 0) -> Iterator[str]:
    """Run a script over REST; its address."""

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        verb = "predict" if path.endswith(":predict") else "metadata"
        parts = path.removesuffix(":predict").removesuffix("/metadata").split("/")
        which = {"versions": int, "labels": str}[parts[-2]](parts[-1]) if len(parts) > 4 else None
        status, version = script.resolve(verb, which)
        if status is not None:
            return status, b'{"error": "as told"}'
        if version is None:
            return 404, b'{"error": "Servable not found for request"}'
        if verb == "metadata":
            return 200, json.dumps(metadata_json(version, script.signatures_of(version))).encode()
        request = json.loads(body)
        if request["signature_name"] == "card":
            card = {"version": version, "thresholds": {"low": 0.1, "label": 0.5, "high": 0.9}}
            return 200, json.dumps({"outputs": [json.dumps(card)]}).encode()
        count = len(request["inputs"]["rgb_bytes"])
        script.sizes.append(count)
        return 200, json.dumps({"outputs": good_json(count, version / 100)}).encode()

    with http_server(answer, port) as address:
        yield address


@contextmanager
def http_server(
    answer: Callable[[str, bytes], tuple[int, bytes]],
    port: int = 0,
    *,
    delay_s: float = 0.0,
    drip_s: float = 0.0,
    drip: str = "body",
) -> Iterator[str]:
    """Answer every request with a status and a body; the address.

    It waits `delay_s` before each answer, and `drip_s` before each byte of the "body" or the "headers".
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        def answer(self, request: bytes) -> None:
            status, body = answer(self.path, request)
            time.sleep(delay_s)
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
            head += "Location: http://127.0.0.1:1/elsewhere\r\n\r\n"
            with contextlib.suppress(OSError):  # the client has gone
                self.write(head.encode(), slowly=drip == "headers")
                self.write(body, slowly=drip == "body")

        def write(self, data: bytes, *, slowly: bool) -> None:
            for part in (
                [data[i : i + 1] for i in range(len(data))] if drip_s and slowly else [data]
            ):
                time.sleep(drip_s if slowly else 0)
                self.wfile.write(part)

        def log_message(self, *_args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # a connection that a client keeps open ends no test

    server = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SCRIPTED = {"grpc": grpc_server, "rest": rest_server}


def _which(spec: Any) -> int | str | None:
    return spec.version_label or spec.version.value or None
