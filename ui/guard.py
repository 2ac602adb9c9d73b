"""What the outside may reach: security headers on every answer, and only the parts of Gradio in use."""

import json
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.failures import AnalysisError
from ui.parcels import MIN_LENGTH, Parcels
from ui.replies import error_reply

#: Gradio puts its configuration in inline scripts and compiles its templates in the browser, hence the
#: two `unsafe-`; what counts here is that nothing is ever loaded from, or sent to, another host.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # The page can take a picture of a scan.
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
#: What is the same for everybody and may be kept: the page's modules and words, Gradio's assets.
_KEPT: Final = ("/page/", "/assets/", "/static/", "/svelte/", "/theme.css", "/favicon.ico")

_GRADIO_API: Final = "/gradio_api/"
#: All of Gradio's own endpoints that the page and `gradio_client` need. The others write uploads to disk,
#: read files, fetch addresses for the caller.
_OPEN: Final = ("heartbeat/", "startup-events", "theme.css", "info", "queue/data", "call/")
_OPEN_TO_EVENTS: Final = ("queue/join", "call/")
#: Also served without the prefix: reading state saved to disk, and a dashboard of everybody's calls.
_CLOSED: Final = ("/monitoring", "/login", "/logout")


class SecurityHeaders:
    """Adds `HEADERS` to every answer; what may hold somebody's scan or result is kept nowhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if message["status"] >= 400 or not scope["path"].startswith(_KEPT):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class OneLength:
    """Refuses a request that states the length of its body twice, and ends its connection.

    A proxy might go by the other one, and take part of the body for the next client's request
    (RFC 9112, section 6.3).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if "content-length" in headers and "transfer-encoding" in headers:
                message = "Send a Content-Length or a Transfer-Encoding, not both."
                error = AnalysisError(400, "bad_request", message)
                await error_reply(error, {"Connection": "close"})(scope, receive, send)
                return
        await self.app(scope, receive, send)


class GradioGate:
    """Answers 404 for every endpoint of Gradio that is not needed, and takes scans out of its events.

    An event that names a file is refused with 422: Gradio would fetch its address, or copy it, before the
    event's function sees it.
    """

    def __init__(self, app: ASGIApp, parcels: Parcels) -> None:
        self.app = app
        self._parcels = parcels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or not scope["path"].startswith((_GRADIO_API, *_CLOSED)):
            await self.app(scope, receive, send)
            return
        endpoint = scope["path"].removeprefix(_GRADIO_API)
        if scope["method"] == "POST" and endpoint.startswith(_OPEN_TO_EVENTS):
            await self._event(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD") and endpoint.startswith(_OPEN):
            await _stream(self.app, scope, receive, send)
        else:
            await PlainTextResponse("Not Found", 404)(scope, receive, send)

    async def _event(self, scope: Scope, receive: Receive, send: Send) -> None:
        values = _plain_values(await Request(scope, receive).body())
        if values is None:
            refusal = JSONResponse({"detail": "Send plain values, no files."}, 422)
            await refusal(scope, receive, send)
            return
        tickets: list[str] = []

        def without_scan(value: Any) -> Any:
            if isinstance(value, list):
                return [without_scan(one) for one in value]
            if not isinstance(value, str) or len(value) < MIN_LENGTH:
                return value
            tickets.append(self._parcels.deposit(value))
            return tickets[-1]

        def drop() -> None:
            for ticket in tickets:
                self._parcels.drop(ticket)

        async def heard(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                drop()
            await send(message)

        try:
            body = json.dumps({name: without_scan(value) for name, value in values.items()})
        except AnalysisError as error:
            drop()
            await error_reply(error)(scope, receive, send)
            return
        del values
        await self.app(scope, _again(body.encode(), receive), heard)


async def _stream(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let Gradio stream; of an event that it does not know it says so in the stream, and then raises."""
    try:
        await app(scope, receive, send)
    except RuntimeError as error:
        if not isinstance(error.__cause__, HTTPException):
            raise
        await send({"type": "http.response.body", "body": b""})


def _plain_values(body: bytes) -> dict[str, Any] | None:
    """A JSON object of texts, numbers and truth values, or lists of these; None for anything else."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    each = [
        one for value in values.values() for one in (value if isinstance(value, list) else [value])
    ]
    return None if any(isinstance(one, dict | list) for one in each) else values


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand out a body that has been read, then go on."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
