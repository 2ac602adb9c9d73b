"""`GET /api/v1/limits`: how much may be sent, for programs and for the page that tells people."""

from fastapi import FastAPI
from pydantic import BaseModel, Field

from data.imaging import MAX_FILE_BYTES
from ui.settings import Settings
from ui.uploads import MAX_FILES, MAX_REQUEST_BYTES


class Limits(BaseModel):
    """What one request may ask."""

    file_mb: int = Field(description="Megabytes of one image.", examples=[16])
    files: int = Field(description="Files in one request to `/api/v1/analyze`.", examples=[1000])
    request_mb: int = Field(description="Megabytes of all files together.", examples=[256])
    seconds: float = Field(
        description="As long the model may take for the images of one question to it.",
        examples=[10.0],
    )


def add_limits(app: FastAPI, settings: Settings) -> None:
    """Add the route to an application."""

    @app.get("/api/v1/limits", summary="How much may be sent", response_description="The limits.")
    def limits() -> Limits:
        """What goes beyond is refused with 413 or 422 and a sentence."""
        return Limits(
            file_mb=MAX_FILE_BYTES // 2**20,
            files=MAX_FILES,
            request_mb=MAX_REQUEST_BYTES // 2**20,
            seconds=settings.timeout_s,
        )
