"""The REST surface of the local server: predict, status and metadata, as TensorFlow Serving has them."""

import asyncio
import json
import logging
import re
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from serving.local import grpc_api
from serving.local.errors import RequestError, invalid
from serving.local.manager import ModelManager
from serving.local.metrics import Metrics, microseconds_since
from serving.local.rest_json import ROWS, parse_body, read_inputs, write_outputs

log = logging.getLogger(__name__)

_PATH: Final = re.compile(
    r"^/v1/models(?:/(?P<model>[^/:]+))?"
    r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>/metadata|:predict|:classify|:regress)?/?$"
)
_MAX_VERSION: Final = 2**63 - 1
_CALLS: Final = {
    ("GET", ""),
    ("GET", "/metadata"),
    ("POST", ":predict"),
    ("POST", ":classify"),
    ("POST", ":regress"),
}
#: As TensorFlow Serving translates them.
HTTP_STATUS: Final = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
_NO_SUCH_PAGE: Final = (
    "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n"
    "<H1>Not Found</H1>\n</BODY></HTML>\n"
)


class RestApi:
    """The ASGI application: every request is bounded in size, in time, and in how many wait."""

    def __init__(
        self,
        manager: ModelManager,
        metrics: Metrics,
        *,
        threads: int,
        queue: int,
        timeout_s: float,
        max_body_bytes: int,
        metrics_path: str | None,
    ) -> None:
        """Prepare to answer.

        Args:
            manager: of the models.
            metrics: where to count.
            threads: requests answered at a time.
            queue: how many more may wait; beyond them requests are refused.
            timeout_s: longest time for one request, its body included.
            max_body_bytes: of a body, also once it is unpacked.
            metrics_path: where the metrics are shown, if anywhere.
        """
        self._manager, self._metrics = manager, metrics
        self._executor = ThreadPoolExecutor(threads, "rest")
        self._limit, self._in_flight = threads + queue, 0
        self._timeout_s, self._max_body_bytes = timeout_s, max_body_bytes
        self._metrics_path = metrics_path
        methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        self.app = Starlette(routes=[Route("/{path:path}", self._endpoint, methods=methods)])

    async def _endpoint(self, request: Request) -> Response:
        path, method = request.url.path, request.method
        if path == self._metrics_path:
            return Response(self._metrics.text(), media_type="text/plain")
        if not path.startswith("/v1/"):
            return HTMLResponse(_NO_SUCH_PAGE, 404)
        if method == "OPTIONS":
            return HTMLResponse("", 400)
        begin = time.perf_counter()
        call = _Call.parse(method, path)
        code = grpc.StatusCode.OK
        try:
            answer = await self._bounded(call, request)
        except RequestError as error:
            code, answer = error.code, _json({"error": str(error)})
        except Exception as error:  # its text may quote the request, so only its kind is logged
            log.error("A REST request failed: %s", type(error).__name__)
            code = grpc.StatusCode.INTERNAL
            answer = _json({"error": "The server failed to answer this request"})
        self._metrics.requests.add(call.spec.name, code.name)
        if code is grpc.StatusCode.OK:
            took = microseconds_since(begin)
            self._metrics.request_latency.observe(took, call.spec.name, call.api, "REST")
        return Response(answer, HTTP_STATUS[code], media_type="application/json")

    async def _bounded(self, call: "_Call", request: Request) -> bytes:
        if self._in_flight >= self._limit:
            raise RequestError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "The server is busy; try again shortly"
            )
        deadline = time.monotonic() + self._timeout_s
        self._in_flight += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await _body(request, self._max_body_bytes)
                # TensorFlow holds a thread while it computes; the event loop must not wait for it.
                return await asyncio.get_running_loop().run_in_executor(
                    self._executor, _answer, self._manager, call, body, deadline
                )
        except TimeoutError as error:
            raise RequestError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "The request took longer than the server allows"
            ) from error
        finally:
            self._in_flight -= 1


@dataclass(frozen=True)
class _Call:
    """What method and path ask for; `refusal` if they ask for nothing that there is."""

    method: str
    verb: str
    spec: model_pb2.ModelSpec
    refusal: RequestError | None = None

    @property
    def api(self) -> str:
        """The name of the API in the metrics; only inference has one."""
        return self.verb[1:] if self.verb.startswith(":") else ""

    @classmethod
    def parse(cls, method: str, path: str) -> "_Call":
        nothing = model_pb2.ModelSpec()
        match = _PATH.match(path)
        if match is None or (method, match["verb"] or "") not in _CALLS:
            return cls(method, "", nothing, invalid(f"Malformed request: {method} {path}"))
        if match["model"] is None:
            return cls(method, "", nothing, invalid("Missing model name in request."))
        spec = model_pb2.ModelSpec(name=match["model"])
        if match["label"]:
            spec.version_label = match["label"]
        if match["version"]:
            try:
                spec.version.value = _version(match["version"])
            except RequestError as error:
                return cls(method, "", nothing, error)
        return cls(method, match["verb"] or "", spec)


def _answer(manager: ModelManager, call: _Call, body: bytes, deadline: float) -> bytes:
    if call.refusal is not None:
        raise call.refusal
    if call.verb == ":predict":
        return _predict(manager, call.spec, body, deadline)
    if call.verb == ":classify":
        grpc_api.classify(manager, call.spec)
    if call.verb == ":regress":
        grpc_api.regress(manager, call.spec)
    if call.verb == "/metadata":
        return _metadata(manager, call.spec)
    return _json(_fields(manager.status(call.spec)))


def _version(digits: str) -> int:
    """A version from a path; int64 on the wire."""
    number = int(digits) if len(digits) <= 19 else _MAX_VERSION + 1
    if number > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {digits[:100]} to numeric.")
    return number


def _predict(
    manager: ModelManager, spec: model_pb2.ModelSpec, body: bytes, deadline: float
) -> bytes:
    with manager.servable(spec) as model:
        document = parse_body(body)
        signature = document.get("signature_name", "")
        if not isinstance(signature, str):
            raise invalid("'signature_name' is not a string.")
        try:
            infos = model.signature(signature).inputs
        except RequestError as error:
            raise invalid(
                f'Serving signature name: "{signature}" not found in signature def'
            ) from error
        outputs = model.predict(signature, read_inputs(document, infos), deadline=deadline)
    return write_outputs(outputs, rows=ROWS in document)


def _metadata(manager: ModelManager, spec: model_pb2.ModelSpec) -> bytes:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec, metadata_field=[grpc_api.SIGNATURES_FIELD]
    )
    response = grpc_api.metadata(manager, request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[grpc_api.SIGNATURES_FIELD].Unpack(signatures)
    return _json(
        {
            "model_spec": {
                "name": response.model_spec.name,
                "version": str(response.model_spec.version.value),
                "signature_name": "",
            },
            "metadata": {grpc_api.SIGNATURES_FIELD: _fields(signatures)},
        }
    )


def _fields(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, unpacked if gzipped, never more than the limit."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise _too_large(limit)
    if request.headers.get("content-encoding", "") != "gzip":
        return bytes(received)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(received, limit)
    except zlib.error as error:
        raise invalid("The body is not gzip, as its Content-Encoding says") from error
    if unpacker.unconsumed_tail:
        raise _too_large(limit)
    if not unpacker.eof:
        raise invalid("The gzip body ends too early")
    return unpacked


def _too_large(limit: int) -> RequestError:
    return invalid(f"The body is larger than {limit / 2**20:g} MB")
