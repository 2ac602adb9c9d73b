"""What the API's description says beyond what the routes' types tell: bodies, errors, examples, a stream."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from data.imaging import too_large
from serving.errors import ContractError, DeadlineExceeded, ServerOverloaded
from ui.access import KEY_HEADER, OPEN, Access
from ui.failures import (
    RETRY_AFTER_S,
    AnalysisError,
    failed_server,
    internal_error,
    login_needed,
    refused_file,
    stalled,
    too_many_requests,
    unknown_version,
)
from ui.replies import error_body
from ui.schema import ErrorBody, Event
from ui.uploads import FIELD, MAX_FILES

NDJSON: Final = "application/x-ndjson"
_JSON: Final = "application/json"

_FILE: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
_RETRY: Final = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": RETRY_AFTER_S,
    }
}
_MEANINGS: Final[dict[int, str]] = {
    401: "No login and no key, or wrong ones.",
    404: "There is no such version or plot.",
    408: "The upload stopped.",
    413: "Larger than this route takes.",
    415: "No format of scans that we know.",
    422: "The request cannot be read, holds no file, or one that cannot be used as a scan.",
    429: "Too many requests from this address; see `Retry-After`.",
    500: "An error of ours, without details.",
    502: "The model server refused or broke the contract.",
    503: "The model server is down or busy, or too many analyses wait here; see `Retry-After`.",
    504: "The model server took too long.",
}
#: One for each status.
_EXAMPLES: Final[dict[int, AnalysisError]] = {
    error.status: error
    for error in (
        login_needed("name and password"),
        unknown_version(9),
        stalled(),
        refused_file(too_large()),
        AnalysisError(415, "unsupported_format", "This is not a PNG, JPEG or WebP image."),
        AnalysisError(422, "empty", "The file is empty. Export the scan again and send that file."),
        too_many_requests(12),
        internal_error(),
        failed_server(ContractError()),
        failed_server(ServerOverloaded()),
        failed_server(DeadlineExceeded()),
    )
}
#: Gradio's, which FastAPI does not know of.
_PAGE: Final[dict[str, Any]] = {
    "summary": "The page",
    "description": "For people; it asks this API.",
    "operationId": "page",
    "responses": {
        "200": {
            "description": "The page.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        }
    },
}
#: Statuses by what a route does.
ASKS_MODEL: Final = (502, 503, 504)
TAKES_FILES: Final = (408, 413, 422, 429)

Responses = dict[int | str, dict[str, Any]]


def errors(*statuses: int) -> Responses:
    """What a route's description says of these statuses."""
    return {status: _error(status) for status in sorted(statuses)}


def upload_form(*, many: bool) -> dict[str, Any]:
    """The body of a route that takes one file, or many in a repeated field."""
    schema: dict[str, Any] = _FILE
    if many:
        schema = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": MAX_FILES}
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: schema}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def code_sample(command: str) -> dict[str, Any]:
    """A shell command that shows how to ask a route."""
    return {"x-codeSamples": [{"lang": "Shell", "source": command}]}


def stream_content() -> dict[str, Any]:
    """The answer as lines of JSON, one for each event."""
    lines = (
        '{"study":0,"file":0,"member":null,"kind":"image","plane":null,"spacing_mm":null,"length":1,'
        '"event":"study"}\n'
        '{"file":1,"member":null,"error":{"code":"empty","message":"The file is empty. Export the scan '
        'again and send that file."},"event":"refused"}\n'
        '{"event":"model","model":{"name":"brain_tumor","version":3},'
        '"thresholds":{"low":0.12,"label":0.5,"high":0.9},'
        '"disclaimer":"Not a medical device. For research and teaching."}\n'
        '{"event":"slice","study":0,"slice":{"index":0,"empty":false,"decision":{"label":"tumor",'
        '"probability":0.953,"confidence":0.953,"risk":"high","in_distribution":true,"ood_score":0.4},'
        '"warnings":[],"heatmap":null,"picture":null,"overlay":null}}\n'
        '{"event":"end","latency_ms":{"prepare":4.1,"model":38.5}}\n'
    )
    return {
        NDJSON: {
            "schema": {
                "type": "string",
                "description": "One `Event` in JSON a line, as it comes: `study` before its `slice`s, "
                "`model` before the first of these, `refused` for a file that is no scan, at last `end`, "
                "or `failed` if the model server gave up.",
            },
            "example": lines,
            "x-line-schema": {"$ref": "#/components/schemas/Event"},
        }
    }


def describe(app: FastAPI, access: Access | None) -> None:
    """Make `app.openapi()` tell all of it.

    Args:
        app: with its routes.
        access: who is let in, if not everybody.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            spec = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                servers=app.servers,
            )
            schemas = spec["components"]["schemas"]
            events = TypeAdapter(Event).json_schema(
                mode="serialization", ref_template="#/components/schemas/{model}"
            )
            schemas.update(events.pop("$defs"))
            schemas["Event"] = events | {"description": "A line of a stream; `event` says which."}
            schemas.setdefault("ErrorBody", ErrorBody.model_json_schema())
            spec["paths"]["/"]["get"] = _PAGE
            if access is not None:
                _protect(spec, access)
            app.openapi_schema = spec
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _protect(spec: dict[str, Any], access: Access) -> None:
    schemes: dict[str, Any] = {}
    if access.has_logins:
        schemes["login"] = {"type": "http", "scheme": "basic"}
    if access.has_keys:
        schemes["key"] = {"type": "apiKey", "in": "header", "name": KEY_HEADER}
        schemes["bearer"] = {"type": "http", "scheme": "bearer"}
    spec["components"]["securitySchemes"] = schemes
    denied = _error(401)
    body = {"schema": {"$ref": "#/components/schemas/ErrorBody"}, **denied["content"][_JSON]}
    for path, operations in spec["paths"].items():
        if path not in OPEN:
            for operation in operations.values():
                operation["security"] = [{name: []} for name in schemes]
                operation["responses"]["401"] = {
                    "description": denied["description"],
                    "content": {_JSON: body},
                }


def _error(status: int) -> dict[str, Any]:
    headers = {"headers": _RETRY} if status in (429, 503) else {}
    return {
        "model": ErrorBody,
        "description": _MEANINGS[status],
        "content": {_JSON: {"example": error_body(_EXAMPLES[status])}},
        **headers,
    }
