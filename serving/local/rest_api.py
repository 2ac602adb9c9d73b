"""The REST surface of the local server: predict, status and metadata, as TensorFlow Serving has them."""

import json
import logging
import re
import zlib
from typing import Any, Final

import grpc
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from serving.local import grpc_api
from serving.local.errors import RequestError, invalid
from serving.local.loader import ModelLoader
from serving.local.rest_json import ROWS, parse_body, read_inputs, write_outputs

log = logging.getLogger(__name__)

#: A batch of 32 images as base64 is 6.5 MB; as lists of numbers some 20 MB.
MAX_BODY_BYTES: Final = 64 * 2**20
_PATH: Final = re.compile(
    r"^/v1/models(?:/(?P<model>[^/:]+))?"
    r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>/metadata|:predict|:classify|:regress)?/?$"
)
_MAX_VERSION: Final = 2**63 - 1
_HTTP: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_NO_SUCH_PAGE: Final = (
    "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n"
    "<H1>Not Found</H1>\n</BODY></HTML>\n"
)


def create_app(loader: ModelLoader) -> Starlette:
    """The ASGI application."""

    async def endpoint(request: Request) -> Response:
        if not request.url.path.startswith("/v1/"):
            return HTMLResponse(_NO_SUCH_PAGE, 404)
        if request.method == "OPTIONS":
            return HTMLResponse("", 400)
        try:
            body = await _body(request)
            # TensorFlow holds a thread while it computes; the event loop must not wait for it.
            answer = await run_in_threadpool(_answer, loader, request, body)
        except RequestError as error:
            status = _HTTP.get(error.code, 500)
            return Response(_json({"error": str(error)}), status, media_type="application/json")
        except Exception as error:  # its text may quote the request, so only its kind is logged
            log.error("A REST request failed: %s", type(error).__name__)
            body = _json({"error": "The server failed to answer this request"})
            return Response(body, 500, media_type="application/json")
        return Response(answer, media_type="application/json")

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=methods)])


def _answer(loader: ModelLoader, request: Request, body: bytes) -> bytes:
    match = _PATH.match(request.url.path)
    malformed = invalid(f"Malformed request: {request.method} {request.url.path}")
    if match is None:
        raise malformed
    if match["model"] is None:
        raise invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=match["model"])
    if match["version"]:
        spec.version.value = _version(match["version"])
    verb = match["verb"]
    if request.method == "GET" and verb is None:
        return _json(_fields(grpc_api.status(loader, spec)))
    if match["label"]:
        spec.version_label = match["label"]
    if request.method == "GET" and verb == "/metadata":
        return _metadata(loader, spec)
    if request.method == "POST" and verb == ":predict":
        return _predict(loader, spec, body)
    if request.method == "POST" and verb in (":classify", ":regress"):
        raise RequestError(
            grpc.StatusCode.UNIMPLEMENTED, f"{verb[1:]} is not served here; use predict."
        )
    raise malformed


def _version(digits: str) -> int:
    """A version from a path; int64 on the wire."""
    number = int(digits) if len(digits) <= 19 else _MAX_VERSION + 1
    if number > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {digits[:100]} to numeric.")
    return number


def _predict(loader: ModelLoader, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
    with grpc_api.servable(loader, spec) as model:
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
        outputs = model.predict(signature, read_inputs(document, infos))
        return write_outputs(outputs, rows=ROWS in document)


def _metadata(loader: ModelLoader, spec: model_pb2.ModelSpec) -> bytes:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec, metadata_field=[grpc_api.SIGNATURES_FIELD]
    )
    response = grpc_api.metadata(loader, request)
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


async def _body(request: Request) -> bytes:
    """The request's body, unpacked if gzipped, never more than the limit."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            raise _too_large()
    if request.headers.get("content-encoding", "") != "gzip":
        return bytes(received)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(received, MAX_BODY_BYTES)
    except zlib.error as error:
        raise invalid("The body is not gzip, as its Content-Encoding says") from error
    if unpacker.unconsumed_tail:
        raise _too_large()
    if not unpacker.eof:
        raise invalid("The gzip body ends too early")
    return unpacked


def _too_large() -> RequestError:
    return invalid(f"The body is larger than {MAX_BODY_BYTES // 2**20} MB")
