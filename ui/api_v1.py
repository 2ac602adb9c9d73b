"""`/api/v1`: any number of files at once, gathered or as a stream."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import Response

from data.studies import ScanFile
from ui.admission import Admission
from ui.analyse import Analyser
from ui.departures import BoundedStream, run_while_wanted
from ui.openapi import (
    ASKS_MODEL,
    NDJSON,
    TAKES_FILES,
    code_sample,
    errors,
    stream_content,
    upload_form,
)
from ui.run import Wanted
from ui.schema import MAX_VERSION, AnalysisReport, ModelStatus
from ui.uploads import FIELD, read_files


def add_api_v1(app: FastAPI, analyser: Analyser, admission: Admission) -> None:
    """Add the routes to an application."""

    async def sent(request: Request) -> list[ScanFile]:
        return await read_files(request)

    @app.post(
        "/api/v1/analyze",
        summary="Analyse any number of files",
        operation_id="analyze_files",
        response_model=AnalysisReport,
        response_description="All answers, or one by one as lines of JSON.",
        responses={200: {"content": stream_content()}, **errors(*TAKES_FILES, *ASKS_MODEL)},
        openapi_extra=upload_form(many=True)
        | code_sample(
            f"curl -F {FIELD}=@first.png -F {FIELD}=@second.jpg 'http://HOST:7860/api/v1/analyze?map=true'"
        ),
    )
    async def analyze(
        request: Request,
        files: Annotated[list[ScanFile], Depends(sent)],
        turn: Annotated[None, Depends(admission.turn)],
        map: Annotated[bool, Query(description="Where the evidence lies.")] = False,
        picture: Annotated[
            bool, Query(description="What the model saw, and with `map` the map in colour.")
        ] = False,
    ) -> Response | AnalysisReport:
        """Send files as multipart/form-data, the field `file` repeated.

        A file that is no scan is listed with its reason; the others are answered. With `Accept:
        application/x-ndjson` each answer comes as it is made.
        """
        wanted = Wanted(map=map, picture=picture)
        if NDJSON in request.headers.get("accept", ""):
            return BoundedStream(_lines(analyser, files, wanted), media_type=NDJSON)
        return await run_while_wanted(request, partial(analyser.report, files, wanted))

    @app.get(
        "/api/v1/model",
        summary="The model and its versions",
        operation_id="read_model",
        response_description="The versions.",
        responses=errors(*ASKS_MODEL),
    )
    def model() -> ModelStatus:
        """Versions that the model server knows, with their states; `version` is the one that answers."""
        return analyser.ready()

    @app.get(
        "/api/v1/model/{version}",
        summary="The model card of a version",
        operation_id="read_model_card",
        response_description="The card; see `models/` in the repository for what it holds.",
        responses=errors(404, 422, *ASKS_MODEL),
    )
    def card(
        version: Annotated[
            int, Path(ge=1, le=MAX_VERSION, description="A version, as `/api/v1/model` lists it.")
        ],
    ) -> dict[str, Any]:
        """What the version was trained on, how well it does, where its limits lie."""
        return analyser.card(version)


def _lines(analyser: Analyser, files: list[ScanFile], wanted: Wanted) -> Iterator[str]:
    for event in analyser.stream(files, wanted):
        yield event.model_dump_json() + "\n"
