"""The HTTP application: the API's routes around one `Analyser`, and the Gradio page at `/`."""

import logging
import os
from typing import Final

import gradio as gr
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles

from data.imaging import MAX_FILE_BYTES
from serving.client import Client
from ui.access import KEY_HEADER, Access, Gatekeeper
from ui.admission import Admission, Budget
from ui.analyse import Analyser
from ui.api import add_api
from ui.api_v1 import add_api_v1
from ui.errors import add_error_replies
from ui.events import add_events
from ui.guard import GradioGate, OneLength, SecurityHeaders
from ui.limits_route import add_limits
from ui.metrics import Measured, Metrics
from ui.model_routes import add_model_directory
from ui.openapi import describe, errors
from ui.page import ASSETS, build_page, page_options
from ui.parcels import Parcels
from ui.rate_limit import RateLimit, rate
from ui.report_routes import add_report
from ui.sample_routes import add_sample_routes
from ui.schema import DISCLAIMER
from ui.settings import Settings
from ui.uploads import BodyLimit
from ui.words import TEXTS

_DESCRIPTION: Final = (
    f"Send scans, a still up to {MAX_FILE_BYTES // 2**20} MB, and get the model's answer. Files are read in "
    f"memory, never written to disk, never logged. {DISCLAIMER}"
)


def create_app(settings: Settings, client: Client, access: Access | None = None) -> FastAPI:
    """Build API and page; nothing is sent to the model server before the first request.

    Args:
        settings: addresses and limits.
        client: of the model server; the caller closes it.
        access: who is let in; None lets in everybody.

    Returns:
        An ASGI application for `uvicorn`.

    Raises:
        ValueError: the settings' rate limit is none.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads it wherever it would call home
    admission = Admission(settings.running, settings.waiting)
    budget = Budget(settings.memory_mb * 2**20)
    metrics = Metrics(admission, budget)
    analyser = Analyser(client, settings.model, metrics.hear, settings.version_label)
    page = build_page()
    parcels = Parcels(budget)
    add_events(page, analyser, admission, parcels)
    return gr.mount_gradio_app(
        create_api(settings, analyser, admission, budget, metrics, parcels, access),
        page,
        path="/",
        root_path=settings.root_path or None,
        **page_options(),
    )


def create_api(
    settings: Settings,
    analyser: Analyser,
    admission: Admission,
    budget: Budget,
    metrics: Metrics,
    parcels: Parcels,
    access: Access | None = None,
) -> FastAPI:
    """Build everything but the page.

    Args:
        settings: addresses and limits.
        analyser: answers for the scans.
        admission: lets analyses run.
        budget: holds uploads.
        metrics: counts.
        parcels: what Gradio's events were sent.
        access: who is let in; None lets in everybody.
    """
    app = FastAPI(
        title="Brain-tumour classifier",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        responses=errors(500),
    )
    # Its warnings tell of what was sent.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    add_api(app, analyser, admission, metrics)
    add_api_v1(app, analyser, admission)
    add_report(app, analyser, admission, settings.root_path)
    add_model_directory(app, settings.model_directory)
    add_limits(app, settings)
    add_sample_routes(app)
    describe(app, access)
    app.mount("/page/assets", StaticFiles(directory=ASSETS))
    app.mount("/page/texts", StaticFiles(directory=TEXTS))
    add_error_replies(app)
    # The last one added is the outermost.
    app.add_middleware(GradioGate, parcels=parcels)
    app.add_middleware(BodyLimit, budget=budget)
    if most := rate(settings.rate_limit):
        app.add_middleware(RateLimit, most=most)
    if access is not None:
        app.add_middleware(Gatekeeper, access=access)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", KEY_HEADER],
        expose_headers=["Retry-After"],
    )
    app.add_middleware(OneLength)
    routes = frozenset(route.path for route in app.routes if isinstance(route, APIRoute))
    app.add_middleware(Measured, metrics=metrics, routes=routes)
    app.add_middleware(SecurityHeaders)
    return app
