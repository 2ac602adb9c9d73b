"""`GET /api/v1/limits`: how much may be sent, for programs and for the page that tells people."""

from fastapi import FastAPI
from pydantic import BaseModel, Field

from data.imaging import MAX_FILE_BYTES
from ui.rate_limit import rate
from ui.settings import Settings
from ui.uploads import MAX_FILES, MAX_REQUEST_BYTES


class Limits(BaseModel):
    """What one request may ask."""

    file_mb: int = Field(description="Megabytes of one image.", examples=[16])
    files: int = Field(description="Files in one request to `/api/v1/analyze`.", examples=[1000])
    request_mb: int = Field(description="Megabytes of all files together.", examples=[256])
    seconds: float = Field(
        description="Seconds that the model may take for one question, of up to 16 images.",
        examples=[10.0],
    )
    rate: str | None = Field(
        description="Requests that one address may send; null for any number.",
        examples=["300/minute"],
    )
    waiting: int = Field(
        description="Requests that wait for their turn; one more is refused with 503.",
        examples=[100],
    )


def add_limits(app: FastAPI, settings: Settings) -> None:
    """Add the route to an application."""

    @app.get(
        "/api/v1/limits",
        summary="How much may be sent",
        operation_id="read_limits",
        response_description="The limits.",
    )
    def limits() -> Limits:
        """What goes beyond is refused with a sentence: 413, 422, 429 or 503."""
        return Limits(
            file_mb=MAX_FILE_BYTES // 2**20,
            files=MAX_FILES,
            request_mb=MAX_REQUEST_BYTES // 2**20,
            seconds=settings.timeout_s,
            rate=None if rate(settings.rate_limit) is None else settings.rate_limit,
            waiting=settings.waiting,
        )
