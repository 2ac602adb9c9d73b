"""A reverse proxy that publishes a front end under a path: takes the path off and hands the rest on."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

#: Headers of one connection, which are not handed on.
_OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@contextmanager
def reverse_proxy(front_end: str, path: str) -> Iterator[str]:
    """Publish a front end under a path; yields the address to ask, without a last slash."""
    with httpx.Client(base_url=front_end, timeout=60) as client:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._hand_on()

            def do_POST(self) -> None:
                self._hand_on()

            def _hand_on(self) -> None:
                if not self.path.startswith(f"{path}/"):
                    self.send_error(404)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with client.stream(
                    self.command,
                    self.path.removeprefix(path),
                    content=body,
                    headers=dict(self.headers.items()),
                ) as answer:
                    self.send_response(answer.status_code)
                    for name, value in answer.headers.items():
                        if name not in _OF_A_CONNECTION:
                            self.send_header(name, value)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    for chunk in answer.iter_raw():
                        self.wfile.write(chunk)
                        self.wfile.flush()
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{path}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
