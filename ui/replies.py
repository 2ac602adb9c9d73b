"""Errors on the wire."""

from fastapi.responses import JSONResponse

from ui.failures import AnalysisError
from ui.schema import ErrorBody, ErrorDetail

#: What the API's documentation says about each status.
ERRORS_OF_ANALYSIS: dict[int | str, dict[str, object]] = {
    413: {"model": ErrorBody, "description": "The file is larger than 16 MB."},
    415: {"model": ErrorBody, "description": "Not a PNG, JPEG or WebP image."},
    422: {"model": ErrorBody, "description": "No file, or one that cannot be used as a scan."},
    502: {"model": ErrorBody, "description": "The model server refused or broke the contract."},
    503: {
        "model": ErrorBody,
        "description": "The model server is down or busy; see `Retry-After`.",
    },
    504: {"model": ErrorBody, "description": "The model server took too long."},
}


def error_reply(error: AnalysisError) -> JSONResponse:
    """The HTTP answer for an error."""
    body = ErrorBody(error=ErrorDetail(code=error.code, message=error.message))
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return JSONResponse(body.model_dump(), error.status, headers)
