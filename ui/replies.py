"""Errors on the wire."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from ui.failures import AnalysisError
from ui.schema import ErrorBody, ErrorDetail


def error_reply(error: AnalysisError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The HTTP answer for an error."""
    body = ErrorBody(error=ErrorDetail(code=error.code, message=error.message))
    retry = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return JSONResponse(body.model_dump(), error.status, {**(headers or {}), **retry})
