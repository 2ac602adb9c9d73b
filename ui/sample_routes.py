"""Routes for the page's gallery of samples; part of the page, not of the API."""

from functools import cache
from typing import Final

from fastapi import FastAPI, HTTPException, Response

from ui.samples import ATTRIBUTION, Sample, load_samples

#: The files change with a release only; a reload within the hour need not fetch them again.
CACHE: Final = {"Cache-Control": "public, max-age=3600"}


def add_sample_routes(app: FastAPI) -> None:
    """Add `GET /page/samples` and `GET /page/samples/{number}` to an application."""
    samples = cache(load_samples)  # read at the first request

    @app.get("/page/samples", include_in_schema=False)
    def gallery() -> dict[str, object]:
        rows = [_row(number, sample) for number, sample in enumerate(samples())]
        return {"samples": rows, "attribution": ATTRIBUTION}

    @app.get("/page/samples/{number}", include_in_schema=False)
    def scan(number: int) -> Response:
        if not 0 <= number < len(samples()):
            raise HTTPException(404)
        return Response(samples()[number].payload, media_type="image/jpeg", headers=CACHE)


def _row(number: int, sample: Sample) -> dict[str, object]:
    return {"id": number, "kind": sample.kind, "thumbnail": sample.thumbnail}
