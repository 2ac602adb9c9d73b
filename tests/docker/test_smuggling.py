"""One client's bytes never become another's request or answer, through the documented proxies.

An attack is a request whose length two servers might read differently, with a second request where its body
is or ends: for the page's metrics, which the proxy keeps inside. What really reaches the page is listened to.
"""

import re
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, eventually
from tests.docker.tap import Tap, tapped
from tests.docker.tools import tool
from tests.docker.topology import caddy, program
from tests.ui.conftest import NO_RATE
from tests.ui.front_end import FrontEnd, running_front_end

#: Smuggled: a whole request, and half of one that would swallow the next client's.
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Swallowed: "
#: Of other clients, each with an answer of its own.
VICTIMS = {"/healthz": 200, "/docs": 200, "/openapi.json": 200, "/api/nothing": 404}
#: Header lines about the body, and the body; `%d` is its length, `%b` what is smuggled, `%x` its length.
ATTACKS: dict[str, tuple[bytes, bytes]] = {
    "length, then chunks": (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked",
        b"0\r\n\r\n%b",
    ),
    "chunks, then a short length": (
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
        b"%x\r\n%b\r\n0\r\n\r\n",
    ),
    "two lengths": (b"Content-Length: 0\r\nContent-Length: %d", b"%b"),
    "a list of lengths": (b"Content-Length: 0, %d", b"%b"),
    "a length with a sign": (b"Content-Length: +%d", b"%b"),
    "a length with a space within": (b"Content-Length: %d 0", b"%b"),
    "a negative length": (b"Content-Length: -1", b"%b"),
    "a length named in Connection": (b"Connection: Content-Length\r\nContent-Length: %d", b"%b"),
    "chunks named in Connection": (
        b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: %d",
        b"0\r\n\r\n%b",
    ),
    "a space before the colon of a length": (b"Content-Length : %d", b"%b"),
    "a space before the colon of chunks": (
        b"Content-Length: %d\r\nTransfer-Encoding : chunked",
        b"0\r\n\r\n%b",
    ),
    "an underscore in the name": (
        b"Content-Length: %d\r\nTransfer_Encoding: chunked",
        b"0\r\n\r\n%b",
    ),
    "an unknown encoding": (b"Content-Length: %d\r\nTransfer-Encoding: xchunked", b"0\r\n\r\n%b"),
    "two encodings": (
        b"Content-Length: %d\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        b"0\r\n\r\n%b",
    ),
    "chunks, then identity": (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked, identity",
        b"0\r\n\r\n%b",
    ),
    "a vertical tab": (b"Content-Length: %d\r\nTransfer-Encoding:\x0bchunked", b"0\r\n\r\n%b"),
    "a folded line": (b"Content-Length: %d\r\nTransfer-Encoding:\r\n chunked", b"0\r\n\r\n%b"),
    "a bare line feed": (b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: %d", b"0\r\n\r\n%b"),
    "a bare carriage return": (
        b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: %d",
        b"0\r\n\r\n%b",
    ),
    "a zero byte": (b"X: \0\r\nContent-Length: %d\r\nTransfer-Encoding: chunked", b"0\r\n\r\n%b"),
    "an extension of a chunk": (
        b"Transfer-Encoding: chunked",
        b"1;a=b\r\nX\r\n0;\r\n\r\n%b",
    ),
    "a line feed in an extension": (b"Transfer-Encoding: chunked", b"1;\n%b\r\n0\r\n\r\n"),
    "chunks ended by line feeds": (b"Transfer-Encoding: chunked", b"1\nX\n0\n\n%b"),
    "the length of a chunk in C": (b"Transfer-Encoding: chunked", b"0x%x\r\n%b\r\n0\r\n\r\n"),
    "the length of a chunk past 64 bits": (
        b"Transfer-Encoding: chunked",
        b"10000000000000000\r\n%b\r\n0\r\n\r\n",
    ),
    "a trailer with a length": (
        b"Transfer-Encoding: chunked",
        b"0\r\nContent-Length: 100\r\n\r\n%b",
    ),
    "an upgrade": (b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0", b"%b"),
    "an expectation": (b"Expect: 100-continue\r\nContent-Length: 0", b"%b"),
}
#: Targets of a request; `%b` is the path of the page.
TARGETS = {
    "an absolute address": b"http://localhost%b/healthz",
    "an absolute address elsewhere": b"http://elsewhere.example%b/healthz",
    "line breaks in code": b"%b/%%0d%%0a%%0d%%0aGET%%20/metrics%%20HTTP/1.1%%0d%%0aX:",
    "a version twice": b"%b/healthz HTTP/1.1 HTTP/1.1\r\nX:",
    "a tab in the line": b"%b/healthz\tHTTP/1.1\r\nX:",
}
#: What the page itself can read in only one way; anything else it refuses.
UNAMBIGUOUS = {
    "a length named in Connection",
    "an underscore in the name",
    "an extension of a chunk",
    "the length of a chunk past 64 bits",
    "a trailer with a length",
    "an upgrade",
    "an expectation",
}


@dataclass(frozen=True)
class Door:
    """Where clients come in.

    Attributes:
        address: what they connect to.
        secure: their TLS; None where there is none.
        path: under which the page is published.
        tap: what is sent on to the page.
    """

    address: tuple[str, int]
    secure: ssl.SSLContext | None
    path: str
    tap: Tap

    def send(self, request: bytes) -> bytes:
        """Send bytes over a connection of their own; all that comes back until the server closes it."""
        received = b""
        with ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(self.address, 60))
            if self.secure:
                connection = stack.enter_context(
                    self.secure.wrap_socket(connection, server_hostname="localhost")
                )
            try:
                connection.sendall(request)
                while part := connection.recv(65536):
                    received += part
            except (ConnectionError, ssl.SSLError):  # refused, with part of the attack unread
                pass
        return received

    def client(self) -> httpx.Client:
        """Somebody else."""
        scheme = "https" if self.secure else "http"
        address = f"{scheme}://localhost:{self.address[1]}{self.path}"
        return httpx.Client(base_url=address, verify=self.secure or False, timeout=60)


@pytest.fixture(scope="module")
def page(
    free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontEnd]:
    """The page; no attack gets as far as to need a model."""
    log = tmp_path_factory.mktemp("page") / "log.txt"
    with running_front_end(free_port(), log, "--server", "127.0.0.1:1", *NO_RATE) as running:
        yield running


@pytest.fixture(scope="module", params=["caddy", "nginx"])
def door(
    request: pytest.FixtureRequest,
    page: FrontEnd,
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Door]:
    """A proxy, with its documented settings."""
    folder = tmp_path_factory.mktemp(request.param)
    port = page.http.base_url.port
    assert port is not None
    with tapped(("127.0.0.1", port)) as tap:
        if request.param == "nginx":
            with nginx(tap.address, free_port(), folder) as address:
                yield Door(address, None, "/scans", tap)
        else:
            with caddy(tap.address, free_port, folder) as (client, _):
                trusted = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
                secure = ssl.create_default_context(cafile=str(trusted))
                assert client.base_url.port is not None
                yield Door(("127.0.0.1", client.base_url.port), secure, "", tap)


@contextmanager
def nginx(page: str, port: int, folder: Path) -> Iterator[tuple[str, int]]:
    """Run nginx with the block of ui/README.md in front of a page's HOST:PORT."""
    (block,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "ui" / "README.md").read_text(), re.DOTALL)
    assert "127.0.0.1:7860" in block
    block = block.replace("127.0.0.1:7860", page)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/pid; events {{}} "
        f"http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port}; {block} }} }}"
    )
    log = folder / "log.txt"
    with program([tool("nginx"), "-e", str(log), "-c", str(file)], folder / "output.txt"):
        eventually(lambda: _listens(port), "nginx listened")
        yield "127.0.0.1", port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def attack(name: str, path: str, smuggled: bytes) -> bytes:
    """An attack on a page under a path, and a good request, after which the server closes."""
    lines, body = ATTACKS[name]
    body = body.replace(b"%b", smuggled).replace(b"%x", b"%x" % len(smuggled))
    lines = lines.replace(b"%d", b"%d" % len(body))
    outer = b"POST %b/?attack HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % (path.encode(), lines)
    return outer + body + last(path)


def last(path: str) -> bytes:
    """A good request, after which the server closes."""
    head = b"GET %b/healthz?last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return head % path.encode()


def statuses(received: bytes) -> list[int]:
    """Of all answers."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


@contextmanager
def undisturbed_victims(door: Door) -> Iterator[None]:
    """Other clients, whose connections are open before an attack, get their own answers after it."""
    with ExitStack() as stack:
        clients = {path: stack.enter_context(door.client()) for path in VICTIMS}

        def ask() -> dict[str, tuple[int, bytes]]:
            answers = {path: client.get(f"{path}?victim") for path, client in clients.items()}
            return {path: (answer.status_code, answer.content) for path, answer in answers.items()}

        before = ask()
        assert {path: status for path, (status, _) in before.items()} == VICTIMS
        yield
        assert ask() == before


def passed_on(door: Door, request: bytes) -> tuple[bytes, Counter[str]]:
    """Send an attack among victims: what came back, and what the page got of it."""
    before = door.tap.requests()
    with undisturbed_victims(door):
        received = door.send(request)
    asked = door.tap.requests() - before
    # To the page each victim asked twice, neither more nor less.
    assert [asked.pop(f"GET {path}?victim") for path in VICTIMS] == [2] * len(VICTIMS)
    return received, asked


@pytest.mark.parametrize("smuggled", [WHOLE, HALF], ids=["whole", "half"])
@pytest.mark.parametrize("name", ATTACKS)
def test_no_request_is_smuggled_past_a_proxy(door: Door, name: str, smuggled: bytes) -> None:
    received, asked = passed_on(door, attack(name, door.path, smuggled))
    assert b"brain_tumor_ui_" not in received
    assert received.startswith(b"HTTP/1.1 ")
    assert set(statuses(received)) <= {100, 200, 400, 404, 422, 501, 502}
    # At most what the sender asked for in the open, each once.
    assert asked <= Counter(["POST /?attack", "GET /healthz?last"])


@pytest.mark.parametrize("name", TARGETS)
def test_no_target_is_two_requests_to_the_page(door: Door, name: str) -> None:
    target = TARGETS[name] % door.path.encode()
    request = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target
    received, asked = passed_on(door, request + last(door.path))
    assert b"brain_tumor_ui_" not in received
    assert asked.total() <= 2
    assert not any("GET /metrics" in one for one in asked)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_page_itself_refuses_what_is_ambiguous(page: FrontEnd, name: str) -> None:
    assert page.http.base_url.port is not None
    with tapped(("127.0.0.1", page.http.base_url.port)) as tap:
        host, port = tap.address.split(":")
        door = Door((host, int(port)), None, "", tap)
        with undisturbed_victims(door):
            answered = statuses(door.send(attack(name, "", WHOLE)))
    if name in UNAMBIGUOUS:
        assert answered[0] == 422
    else:
        assert answered == [400]


def test_the_tap_hears_what_was_smuggled(page: FrontEnd) -> None:
    """Requests are smuggled past a proxy that goes by the length and passes everything on."""
    assert page.http.base_url.port is not None
    with tapped(("127.0.0.1", page.http.base_url.port)) as tap:
        host, port = tap.address.split(":")
        door = Door((host, int(port)), None, "", tap)
        assert b"brain_tumor_ui_" in door.send(attack("an upgrade", "", WHOLE))
        heard = tap.requests()
    assert heard == Counter(["POST /?attack", "GET /metrics", "GET /healthz?last"])
