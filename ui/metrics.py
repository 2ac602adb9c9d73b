"""What is counted, as Prometheus text: how many, how long, how much; never what, or from whom."""

import time
from functools import partial
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.admission import Admission, Budget
from ui.schema import EndEvent, Event, FailedEvent, RefusedEvent, SliceEvent

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_NAMESPACE: Final = "brain_tumor_ui"
#: Seconds.
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SHARES: Final = (0.01, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.99, 1)
#: Routes that are no part of the API: the page, its assets, Gradio's own.
_PAGE: Final = "page"


class Metrics:
    """The counts of one front end."""

    def __init__(self, admission: Admission, budget: Budget) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        counter = partial(Counter, namespace=_NAMESPACE, registry=registry)
        gauge = partial(Gauge, namespace=_NAMESPACE, registry=registry)
        histogram = partial(Histogram, namespace=_NAMESPACE, registry=registry)
        self._requests = counter(
            "requests", "Requests by route and HTTP status.", ["route", "status"]
        )
        self._seconds = histogram(
            "request_seconds",
            "From a request to the end of its answer, by route.",
            ["route"],
            buckets=_BOUNDS,
        )
        self._slices = counter(
            "slices",
            "Images and slices by risk; `unfamiliar` where the model does not know such images.",
            ["risk"],
        )
        self._probability = histogram(
            "probability", "P(tumour) of images and slices that the model knows.", buckets=_SHARES
        )
        self._refused = counter("refused_files", "Files that are no scans.", ["code"])
        self._failed = counter(
            "failed_streams", "Streams that the model server broke off.", ["code"]
        )
        self._phases = histogram(
            "phase_seconds",
            "Time of an analysis spent on reading its files and on the model's answers.",
            ["phase"],
            buckets=_BOUNDS,
        )
        gauge("running", "Analyses that run.").set_function(lambda: admission.running)
        gauge("waiting", "Analyses that wait.").set_function(lambda: admission.waiting)
        gauge("upload_bytes", "Bytes of uploads held.").set_function(lambda: budget.held)

    def hear(self, event: Event) -> None:
        """Count an event of an analysis."""
        match event:
            case SliceEvent(slice=one) if one.decision is not None:
                known = one.decision.in_distribution
                self._slices.labels(one.decision.risk if known else "unfamiliar").inc()
                if known:
                    self._probability.observe(one.decision.probability)
            case RefusedEvent():
                self._refused.labels(event.error.code).inc()
            case FailedEvent():
                self._failed.labels(event.error.code).inc()
            case EndEvent():
                self._phases.labels("prepare").observe(event.latency_ms.prepare / 1000)
                self._phases.labels("model").observe(event.latency_ms.model / 1000)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, status).inc()
        # A page holds a connection for as long as it is open.
        if route != _PAGE:
            self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """The page of metrics, of type `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class Measured:
    """Counts every answer by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: frozenset[str]) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            metrics: where it is counted.
            routes: paths of the API, with their parameters' names.
        """
        self.app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500
        start = time.perf_counter()

        async def heard(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, heard)
        finally:
            self._metrics.request(self._route(scope), status, time.perf_counter() - start)

    def _route(self, scope: Scope) -> str:
        """The route that answered; of one that was refused before, the path if it is one of ours."""
        found = getattr(scope.get("route"), "path", scope["path"])
        is_page = found == "/" and scope["method"] in ("GET", "HEAD")
        return found if found in self._routes and not is_page else _PAGE
