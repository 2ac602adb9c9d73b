"""`/api/v1`: any number of files at once, gathered or as a stream."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from data.studies import ScanFile
from ui.analyse import Analyser, Wanted
from ui.schema import AnalysisReport, ModelStatus
from ui.uploads import read_files

NDJSON: Final = "application/x-ndjson"


def add_api_v1(app: FastAPI, analyser: Analyser) -> None:
    """Add the routes to an application."""

    @app.post(
        "/api/v1/analyze", summary="Analyse any number of files", response_model=AnalysisReport
    )
    async def analyze(
        request: Request,
        map: Annotated[bool, Query(description="Where the evidence lies.")] = False,
        picture: Annotated[bool, Query(description="What the model saw.")] = False,
    ) -> Response | AnalysisReport:
        """Send files as multipart/form-data.

        With `Accept: application/x-ndjson` each answer comes as it is made.
        """
        files = await read_files(request)
        wanted = Wanted(map=map, picture=picture)
        if NDJSON in request.headers.get("accept", ""):
            return StreamingResponse(_lines(analyser, files, wanted), media_type=NDJSON)
        return await run_in_threadpool(analyser.report, files, wanted)

    @app.get("/api/v1/model", summary="The model and its versions")
    def model() -> ModelStatus:
        """Versions that the model server knows, with their states; `version` is the one that answers."""
        return analyser.ready()

    @app.get("/api/v1/model/{version}", summary="The model card of a version")
    def card(version: int) -> dict[str, Any]:
        """What the version was trained on, how well it does, where its limits lie."""
        return analyser.card(version)


def _lines(analyser: Analyser, files: list[ScanFile], wanted: Wanted) -> Iterator[str]:
    for event in analyser.stream(files, wanted):
        yield event.model_dump_json() + "\n"
