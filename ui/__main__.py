"""`python -m ui --server ADDR`: the page and the HTTP API."""

import os
import secrets
import signal
import socket
import sys

import cyclopts

from data.settings_env import environment
from serving.client import Client
from ui.settings import Settings

_HELP = """Serve the page and the HTTP API.

The page is at `/`, the API at `POST /` and `POST /upload`, its documentation at `/docs`, the health check
at `/healthz`. The model server may start later, go away and come back.

Examples, the first with `python -m serving run` in another terminal:

    python -m ui
    python -m ui --server models.internal:8500 --host 0.0.0.0
    UI_SERVER=http://models.internal:8501 python -m ui --port 8080
"""
#: An open page holds a connection that never ends by itself.
_DRAIN_S = 5
#: Exit code that the command line itself has for flags it does not know.
WRONG_USE = 2

app: cyclopts.App = cyclopts.App(
    name="python -m ui",
    help=_HELP,
    help_format="markdown",
    config=environment("UI_", lambda: app),
)


@app.default
def main(settings: Settings | None = None) -> int:
    """Listen until SIGTERM or Ctrl-C."""
    settings = settings or Settings()
    try:
        client = Client(
            settings.server,
            model=settings.model,
            timeout_s=settings.timeout_s,
            ca_certificate=settings.ca_certificate,
        )
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        unknown_host = isinstance(error, socket.gaierror)
        reason = error.strerror if unknown_host else os.strerror(error.errno or 0)
        print(
            f"Cannot listen on {settings.host}:{settings.port}: {reason}. "
            "Choose another with --host and --port.",
            file=sys.stderr,
        )
        return 1
    import uvicorn  # these take seconds; --help and a refusal do not wait for them

    from ui.app import create_app

    config = uvicorn.Config(
        create_app(settings, client),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    # Uvicorn drains on SIGTERM, then raises the signal again for whoever handled it before.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with listener, client:
        print(f"Page and API on http://{settings.host}:{settings.port}", flush=True)
        if settings.share:
            print(f"Public address: {_share(settings)}", flush=True)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            print("Stopped.")
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # Connections inherit it. asyncio sets it only on sockets of its own making; without it an answer
    # waits 40 ms for the acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _share(settings: Settings) -> str:
    from gradio import networking

    return networking.setup_tunnel(
        "127.0.0.1", settings.port, secrets.token_urlsafe(32), None, None
    )


if __name__ == "__main__":
    sys.exit(app())
