"""What the outside may reach: security headers on every answer, and only the parts of Gradio in use."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Gradio puts its configuration in inline scripts and compiles its templates in the browser, hence the
#: two `unsafe-`; what counts here is that nothing is ever loaded from, or sent to, another host.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
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
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_GRADIO_API: Final = "/gradio_api/"
#: All of Gradio's own endpoints that the page needs. The others write uploads to disk, read files, fetch
#: addresses for the caller.
_OPEN: Final = ("run/predict", "heartbeat/", "startup-events", "theme.css")


class SecurityHeaders:
    """Adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class GradioGate:
    """Answers 404 for every endpoint of Gradio that the page does not use."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_open(path: str) -> bool:
    if path.startswith(_GRADIO_API):
        return path.removeprefix(_GRADIO_API).startswith(_OPEN)
    # Also served without the prefix: reading state saved to disk, and a dashboard of everybody's calls.
    return not path.startswith(("/monitoring", "/login", "/logout"))
