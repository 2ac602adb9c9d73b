"""The shape of an error on the wire."""

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ui.analyse import AnalysisError


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable machine-readable reason.", examples=["empty"])
    message: str = Field(
        description="A sentence for a person.",
        examples=["The file is empty. Export the scan again and send that file."],
    )


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


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
