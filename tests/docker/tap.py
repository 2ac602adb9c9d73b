"""What a proxy really sends to the page behind it, byte by byte."""

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import h11

#: Among the requests, where bytes make none.
MALFORMED = "malformed"


class Tap(socketserver.ThreadingTCPServer):
    """Hands every connection on to an address, and keeps what was sent to it."""

    daemon_threads = True

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.behind = behind
        self.sent: list[bytearray] = []

    @property
    def address(self) -> str:
        """Where it listens, "127.0.0.1:PORT"."""
        return f"127.0.0.1:{self.server_address[1]}"

    def requests(self) -> Counter[str]:
        """All requests so far, "GET /path", as the page reads them: with the parser of its server."""
        return Counter(request for sent in self.sent for request in _requests(bytes(sent)))


class _Connection(socketserver.BaseRequestHandler):
    server: Tap
    request: socket.socket

    def handle(self) -> None:
        sent = bytearray()
        self.server.sent.append(sent)
        with socket.create_connection(self.server.behind) as page:
            back = threading.Thread(target=_hand_on, args=(page, self.request, bytearray()))
            back.start()
            _hand_on(self.request, page, sent)
            back.join()


def _hand_on(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            kept += part
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _requests(sent: bytes) -> Iterator[str]:
    reader = h11.Connection(h11.SERVER)
    if sent:  # no bytes would mean the end to it
        reader.receive_data(sent)
    try:
        while (event := reader.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Request):
                yield f"{event.method.decode()} {event.target.decode()}"
            elif isinstance(event, h11.EndOfMessage):
                reader.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                reader.send(h11.EndOfMessage())
                if reader.our_state is h11.MUST_CLOSE:
                    break
                reader.start_next_cycle()
    except h11.RemoteProtocolError:
        yield MALFORMED
    else:
        if reader.our_state is h11.MUST_CLOSE and reader.trailing_data[0]:
            yield MALFORMED


@contextmanager
def tapped(behind: tuple[str, int]) -> Iterator[Tap]:
    """Run a tap in front of an address."""
    with Tap(behind) as tap:
        thread = threading.Thread(target=tap.serve_forever)
        thread.start()
        try:
            yield tap
        finally:
            tap.shutdown()
            thread.join()
