"""The API's plain routes: one scan, the way the original takes it, and what operates the service."""

from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from ui.admission import Admission
from ui.analyse import Analyser
from ui.docs import docs_page
from ui.metrics import CONTENT_TYPE, Metrics
from ui.openapi import ASKS_MODEL, TAKES_FILES, code_sample, errors, upload_form
from ui.schema import Analysis, Health, ModelStatus
from ui.uploads import FIELD, read_upload

_METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": 'brain_tumor_ui_requests_total{route="/",status="200"} 12.0\n',
            }
        }
    }
}


def add_api(app: FastAPI, analyser: Analyser, admission: Admission, metrics: Metrics) -> None:
    """Add the routes to an application."""

    async def analyse(
        payload: Annotated[bytes, Depends(read_upload)],
        turn: Annotated[None, Depends(admission.turn)],
    ) -> Analysis:
        """Send one image file as multipart/form-data and read the model's answer."""
        return await run_in_threadpool(analyser.analyse, payload)

    for path, summary in (("/", "Analyse a scan"), ("/upload", "The same, under another name")):
        app.post(
            path,
            summary=summary,
            response_description="The answer.",
            operation_id="analyse" if path == "/" else "upload",
            responses=errors(*TAKES_FILES, 415, *ASKS_MODEL),
            openapi_extra=upload_form(many=False)
            | code_sample(f"curl -F {FIELD}=@scan.png http://HOST:7860{path}"),
        )(analyse)

    @app.get(
        "/healthz",
        summary="Is this process up",
        response_description="It is.",
        operation_id="healthz",
    )
    def healthz() -> Health:
        """200 as long as this process answers, whatever the model server does. Needs no login."""
        return Health(status="ok")

    @app.get(
        "/readyz",
        summary="Is a model ready",
        response_description="A version of the model is ready.",
        operation_id="readyz",
        responses=errors(*ASKS_MODEL),
    )
    def readyz() -> ModelStatus:
        """200 if the model server has a version that answers, 503 otherwise. Needs no login."""
        return analyser.ready()

    @app.get(
        "/metrics",
        summary="Counts for Prometheus",
        response_description="Text in Prometheus' format.",
        operation_id="metrics",
        response_class=Response,
        responses=_METRICS,
    )
    def counts() -> Response:
        """Requests, times, risks, refusals, load and memory; nothing about any single scan."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))
