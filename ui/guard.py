"""What the outside may reach: security headers on every answer, and only the parts of Gradio in use."""

import json
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
                if not scope["path"].startswith(_KEPT):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class GradioGate:
    """Answers 404 for every endpoint of Gradio that is not needed, and 422 for events that name files.

    Gradio would fetch a file's address, or copy it, before the event's function sees it; ours take text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or not scope["path"].startswith((_GRADIO_API, *_CLOSED)):
            await self.app(scope, receive, send)
            return
        endpoint = scope["path"].removeprefix(_GRADIO_API)
        if scope["method"] == "POST" and endpoint.startswith(_OPEN_TO_EVENTS):
            body = await Request(scope, receive).body()
            if not _is_plain(body):
                refusal = JSONResponse({"detail": "Send plain values, no files."}, 422)
                await refusal(scope, receive, send)
                return
            await self.app(scope, _again(body, receive), send)
        elif scope["method"] in ("GET", "HEAD") and endpoint.startswith(_OPEN):
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse("Not Found", 404)(scope, receive, send)


def _is_plain(body: bytes) -> bool:
    """Whether a JSON object holds text, numbers and truth values only, or lists of these."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(values, dict):
        return False
    return not any(
        isinstance(one, dict | list)
        for value in values.values()
        for one in (value if isinstance(value, list) else [{}] if isinstance(value, dict) else [])
    )


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand out a body that has been read, then go on."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
