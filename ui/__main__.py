"""`python -m ui --server ADDR`: the page and the HTTP API."""

import ctypes
import os
import signal
import socket
import sys

import cyclopts

from data.settings_env import environment
from serving.client import Client
from ui import share
from ui.access import Access
from ui.rate_limit import rate
from ui.settings import Settings

_HELP = """Serve the page and the HTTP API.

The page is at `/`, the API at `POST /`, `POST /upload` and `/api/v1`, its documentation at `/docs`.
`/healthz` tells that this process is up, `/readyz` that a model answers; `/metrics` is for Prometheus. The
model server may start later, go away and come back.

Everybody who reaches the port may use it, unless `--login-file` or `--api-key-file` is given: then all but
`/healthz` and `/readyz` needs a login or a key.

Examples, the first with `python -m serving run` in another terminal:

    python -m ui
    python -m ui --server models.internal:8500 --host 0.0.0.0 --login-file logins.txt
    UI_SERVER=http://models.internal:8501 python -m ui --port 8080
"""
#: Of glibc, see mallopt(3).
_M_MMAP_THRESHOLD = -3
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
        rate(settings.rate_limit)
        access = Access.read(settings)
        share.check_allowed(settings)
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
    _return_big_blocks()
    import uvicorn  # these take seconds; --help and a refusal do not wait for them

    from ui.app import create_app
    from ui.departures import HttpProtocol

    config = uvicorn.Config(
        create_app(settings, client, access),
        http=HttpProtocol,
        log_level="warning",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    # Uvicorn drains on SIGTERM, then raises the signal again for whoever handled it before.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with listener, client:
        print(f"Page and API on http://{settings.host}:{settings.port}", flush=True)
        try:
            if settings.share:
                print(share.warning(settings), file=sys.stderr)
                print(f"Public address: {share.open_tunnel(settings.port)}", flush=True)
            uvicorn.Server(config).run(sockets=[listener])
        except share.ShareError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("Stopped.")
    return 0


def _return_big_blocks() -> None:
    """Keep memory flat: blocks as big as a scan go back to the system as soon as they are free.

    By itself glibc ceases to do so once one of them was freed, and its heaps then fill with the holes they
    leave: 60 MB after 6,000 damaged uploads, 8 MB like this.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, 128 * 2**10)  # which is where it begins


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # Connections inherit it. asyncio sets it only on sockets of its own making; without it an answer
    # waits 40 ms for the acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


if __name__ == "__main__":
    sys.exit(app())
