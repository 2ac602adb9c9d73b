"""Ways of asking the model that are compared: each makes connections which send one prepared request.

Requests are made once and answers are not read while time is taken: clients share the cores with what
is measured, and the servers' cost is the question here. Our own client is in the page's figures.
"""

import http.client
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from serving.bench.load import Exchange, demand_loopback
from serving.bench.processes import ModelServer, WebServer
from serving.bench.usage import usage
from serving.errors import ServingError
from serving.grpc_transport import GrpcCodec
from serving.rest_transport import RestCodec
from serving.transport import Call, Outputs, Server

IN_PROCESS: Final = "in process"
BFLOAT16: Final = "in process, bfloat16"
GRPC: Final = "gRPC"
REST: Final = "REST"
PAGE: Final = "page"
ORIGINAL: Final = "original"
TENSORFLOW_SERVING: Final = "TensorFlow Serving"

_TIMEOUT_S: Final = 60.0
_BOUNDARY: Final = "a-boundary-that-no-picture-holds"

Images = NDArray[np.uint8]


class Kind(NamedTuple):
    """A way by name, whether the server merges requests, and the images in a request."""

    name: str
    batching: bool = False
    images: int = 1


@dataclass(frozen=True)
class Way:
    """How to ask.

    Attributes:
        kind: which one this is.
        connect: makes a client's connection.
        cost: CPU time in seconds, since some moment, of all that works on answers; 0 if unknown.
        read: P(tumour) of the request's first scan in an answer, None if the answer means nothing.
        around: entered while the way is measured.
    """

    kind: Kind
    connect: Callable[[], Exchange]
    cost: Callable[[], float]
    read: Callable[[Any], float] | None
    around: Callable[[], AbstractContextManager[None]] = nullcontext


class InProcess:
    """A signature of a loaded SavedModel, all of its outputs as the server needs them."""

    def __init__(self, signature: Callable[..., dict[str, tf.Tensor]], images: Images) -> None:
        self._signature, self._images = signature, images

    def send(self) -> dict[str, Any]:
        """See `Exchange.send`."""
        outputs = self._signature(images=tf.constant(self._images))
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def close(self) -> None:
        """There is nothing to close."""


class GrpcExchange:
    """A connection of its own, as a client in another process would have."""

    def __init__(self, address: str, call: Call[Outputs]) -> None:
        self._channel = grpc.insecure_channel(
            address, options=(("grpc.use_local_subchannel_pool", 1),)
        )
        try:
            grpc.channel_ready_future(self._channel).result(_TIMEOUT_S)
        except grpc.FutureTimeoutError as error:
            self._channel.close()
            raise ServingError(f"Nothing answers gRPC at {address}.") from error
        self._ask, self._body = self._channel.unary_unary(call.path), call.body

    def send(self) -> bytes:
        """See `Exchange.send`."""
        return self.ask(self._body)

    def ask(self, body: bytes | None) -> bytes:
        """The answer to another request to the same method."""
        try:
            answer: bytes = self._ask(body, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            raise ServingError(f"{error.code().name}: {error.details()}") from error
        return answer

    def close(self) -> None:
        """See `Exchange.close`."""
        self._channel.close()


class HttpExchange:
    """An HTTP/1.1 connection, kept open if the server does; the standard library's costs little."""

    def __init__(self, address: str, path: str, body: bytes, content_type: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT_S)
        self._path, self._body = path, body
        self._headers = {"Content-Type": content_type}
        try:
            self._connection.connect()
        except OSError as error:
            raise ServingError(f"Nothing answers HTTP at {address}.") from error

    def send(self) -> bytes:
        """See `Exchange.send`."""
        try:
            self._connection.request("POST", self._path, self._body, self._headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens it again
            raise ServingError(f"{type(error).__name__}: {error}") from error
        if response.status != http.HTTPStatus.OK:
            raise ServingError(f"{response.status}: {answer[:200].decode(errors='replace')}")
        return answer

    def close(self) -> None:
        """See `Exchange.close`."""
        self._connection.close()


def scans_in(samples: Path) -> list[Path]:
    """The files in the folders of a folder.

    Raises:
        ServingError: there are none.
    """
    paths = sorted(one for one in samples.glob("*/*") if one.is_file())
    if not paths:
        raise ServingError(f"{samples} holds no folder with a scan to ask about.")
    return paths


def in_process(name: str, signature: Any, images: Images, **options: Any) -> Way:
    """TensorFlow called directly, by a thread for each client."""
    return Way(
        Kind(name, images=len(images)),
        lambda: InProcess(signature, images),
        time.process_time,
        lambda outputs: float(outputs["probability"][0]),
        **options,
    )


def by_grpc(server: ModelServer, model: str, images: Images, *, batching: bool) -> Way:
    """`Predict` of the local server."""
    kind = Kind(GRPC, batching, len(images))
    return _grpc_way(kind, demand_loopback(server.grpc), model, images, (server.pid,))


def by_tensorflow_serving(address: str, model: str, images: Images) -> Way:
    """`Predict` of a TensorFlow Serving server, wherever it is: somebody named it on purpose."""
    return _grpc_way(Kind(TENSORFLOW_SERVING, images=len(images)), address, model, images, ())


def by_rest(server: ModelServer, model: str, images: Images, *, batching: bool) -> Way:
    """`:predict` of the local server with the signature `rgb`, base64 of the pixels."""
    codec = RestCodec(Server(server.rest, model))
    call = codec.predict(*codec.scans(images), None)
    address = demand_loopback(server.rest)
    return Way(
        Kind(REST, batching, len(images)),
        lambda: HttpExchange(address, call.path, call.body or b"", "application/json"),
        lambda: usage(server.pid).cpu_s,
        lambda answer: float(call.read(answer).arrays["probability"][0]),
    )


def by_upload(
    name: str, server: WebServer, scan: bytes, pids: tuple[int, ...], *, batching: bool
) -> Way:
    """`POST /` of the page, or of the original's way, with an image file in a form.

    Args:
        name: of the way.
        server: which of them.
        scan: the file.
        pids: of processes behind it, if it does not compute by itself.
        batching: whether those merge requests.
    """
    address = demand_loopback(server.address)
    content_type = f"multipart/form-data; boundary={_BOUNDARY}"
    return Way(
        Kind(name, batching),
        lambda: HttpExchange(address, "/", _form(scan), content_type),
        lambda: usage(server.pid, *pids).cpu_s,
        None if name == ORIGINAL else lambda answer: float(json.loads(answer)["probability"]),
    )


def _grpc_way(kind: Kind, address: str, model: str, images: Images, pids: tuple[int, ...]) -> Way:
    codec = GrpcCodec(Server(address, model))
    call = codec.predict(*codec.scans(images), None)
    return Way(
        kind,
        lambda: GrpcExchange(address, call),
        lambda: usage(*pids).cpu_s,
        lambda answer: float(call.read(answer).arrays["probability"][0]),
    )


def _form(scan: bytes) -> bytes:
    """A form with one file."""
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="scan"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + scan + f"\r\n--{_BOUNDARY}--\r\n".encode()
