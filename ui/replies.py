"""Errors on the wire."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse

from ui.failures import AnalysisError
from ui.schema import ErrorBody, ErrorDetail


def error_body(error: AnalysisError) -> dict[str, Any]:
    """Its JSON."""
    body = ErrorBody(error=ErrorDetail(code=error.code, message=error.message))
    return body.model_dump()


def error_reply(error: AnalysisError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The HTTP answer for an error."""
    retry = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return JSONResponse(error_body(error), error.status, {**(headers or {}), **retry})
