"""The HTTP application: the API's routes around one `Analyser`, and the Gradio page at `/`."""

import os
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from data.imaging import MAX_FILE_BYTES
from serving.client import Client
from ui.analyse import Analyser
from ui.api_v1 import add_api_v1
from ui.docs import docs_page
from ui.failures import AnalysisError
from ui.guard import GradioGate, SecurityHeaders
from ui.limits_route import add_limits
from ui.model_routes import add_model_directory
from ui.page import ASSETS, TEXTS, build_page, page_options
from ui.replies import ERRORS_OF_ANALYSIS, error_reply
from ui.report_routes import add_report
from ui.schema import DISCLAIMER, Analysis, ErrorBody, Health, ModelStatus
from ui.settings import Settings
from ui.uploads import FIELD, BodyLimit, read_upload

_DESCRIPTION = (
    f"Send one MRI slice as PNG, JPEG or WebP, up to {MAX_FILE_BYTES // 2**20} MB, and get the model's "
    f"answer. Files are read in memory, never written to disk, never logged. {DISCLAIMER}"
)
_UPLOAD_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


def create_app(settings: Settings, client: Client) -> FastAPI:
    """Build API and page; nothing is sent to the model server before the first request.

    Args:
        settings: addresses and limits.
        client: of the model server; the caller closes it.

    Returns:
        An ASGI application for `uvicorn`.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads it wherever it would call home
    analyser = Analyser(client, settings.model)
    return gr.mount_gradio_app(
        create_api(settings, analyser),
        build_page(),
        path="/",
        root_path=settings.root_path or None,
        **page_options(),
    )


def create_api(settings: Settings, analyser: Analyser) -> FastAPI:
    """Build everything but the page.

    Args:
        settings: addresses and limits.
        analyser: answers for the scans.
    """
    app = FastAPI(
        title="Brain-tumour classifier",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        responses={500: {"model": ErrorBody, "description": "An error of ours, without details."}},
    )
    _add_api(app, analyser)
    add_api_v1(app, analyser)
    add_model_directory(app, settings.model_directory)
    add_report(app, analyser, settings.root_path)
    add_limits(app, settings)
    app.mount("/page/assets", StaticFiles(directory=ASSETS))
    app.mount("/page/texts", StaticFiles(directory=TEXTS))
    _add_error_replies(app)
    # The last one added is the outermost.
    app.add_middleware(GradioGate)
    app.add_middleware(BodyLimit)
    app.add_middleware(
        CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["GET", "POST"]
    )
    app.add_middleware(SecurityHeaders)
    return app


def _add_api(app: FastAPI, analyser: Analyser) -> None:
    async def analyse(request: Request) -> Analysis:
        """Send one image file as multipart/form-data and read the model's answer."""
        payload = await read_upload(request)
        return await run_in_threadpool(analyser.analyse, payload)

    for path, summary in (("/", "Analyse a scan"), ("/upload", "The same, under another name")):
        sample = {"lang": "Shell", "source": f"curl -F {FIELD}=@scan.png http://HOST:7860{path}"}
        app.post(
            path,
            summary=summary,
            response_description="The answer.",
            operation_id="analyse" if path == "/" else "upload",
            responses=ERRORS_OF_ANALYSIS,
            openapi_extra=_UPLOAD_FORM | {"x-codeSamples": [sample]},
        )(analyse)

    @app.get("/healthz", summary="Is the page's server up", response_description="It is.")
    def healthz() -> Health:
        """200 as long as this process answers, whatever the model server does."""
        return Health(status="ok")

    @app.get(
        "/readyz",
        summary="Is a model ready",
        response_description="A version of the model is ready.",
        responses={503: {"model": ErrorBody, "description": "No version of the model is ready."}},
    )
    def readyz() -> ModelStatus:
        """200 if the model server has a version that answers, 503 otherwise."""
        return analyser.ready()

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))


def _add_error_replies(app: FastAPI) -> None:
    @app.exception_handler(AnalysisError)
    def known(request: Request, error: AnalysisError) -> Response:
        return error_reply(error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_reply(AnalysisError(422, "bad_request", "The request could not be read."))

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return error_reply(
            AnalysisError(500, "internal_error", "Something went wrong on our side.")
        )
