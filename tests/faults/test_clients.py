"""Clients that leave, that do not read, that ask for what is not theirs; none costs the others anything."""

import socket

import anyio
import httpx
import pytest
from starlette.types import Message

from tests.conftest import eventually
from tests.faults.seeds import form, request
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import DIM, picture, send
from tests.ui.scripted_server import ScriptedServer
from tests.ui.test_limits import gauge
from ui.departures import BoundedStream

ANALYZE = "/api/v1/analyze"


def test_an_analysis_ends_when_its_client_leaves(
    front_end: FrontEnd, model_server: ScriptedServer
) -> None:
    model_server.behaviour = "hangs"
    url = httpx.URL(front_end.address)
    whole = httpx.Request("POST", url, files=[("file", picture(DIM))] * 64)
    body, kind = whole.read(), whole.headers["content-type"]
    with socket.create_connection((url.host, url.port or 80), 60) as connection:
        connection.sendall(request(body, ANALYZE, {"Content-Type": kind}))
        eventually(lambda: model_server.hung == 1, "the first of four batches is asked about")
    model_server.behaviour = "answers"
    model_server.release.set()
    eventually(lambda: gauge(front_end.http, "brain_tumor_ui_running") == 0, "its place is free")
    assert sum(model_server.batches) < 64
    assert send(front_end.http, picture(DIM), ANALYZE).status_code == 200
    assert "Traceback" not in front_end.log.read_text()


def test_a_stream_that_is_not_read_gives_its_place_back() -> None:
    sent: list[Message] = []
    made: list[int] = []

    def lines():
        for n in range(1000):
            made.append(n)
            yield "x"

    async def send_until_full(message: Message) -> None:
        sent.append(message)
        if len(sent) > 3:
            await anyio.sleep_forever()

    async def silent() -> Message:
        return await anyio.sleep_forever()

    stream = BoundedStream(lines())
    stream.read_s = 0.05
    anyio.run(stream, {"type": "http", "asgi": {"spec_version": "2.3"}}, silent, send_until_full)
    assert len(sent) == 4
    assert len(made) < 10


@pytest.mark.parametrize("path", ["queue/data?session_hash=nobodys", "call/analyze/nobodys"])
def test_an_event_that_nobody_sent_is_told_and_not_logged(front_end: FrontEnd, path: str) -> None:
    told = front_end.http.get(f"/gradio_api/{path}")
    assert "404: Not Found" in told.text
    assert "Traceback" not in front_end.log.read_text()


def test_half_a_request_costs_nothing(front_end: FrontEnd) -> None:
    url = httpx.URL(front_end.address)
    whole = request(form(picture(DIM)), ANALYZE)
    for end in range(1, len(whole), len(whole) // 40):
        with socket.create_connection((url.host, url.port or 80), 60) as connection:
            connection.sendall(whole[:end])
    eventually(lambda: gauge(front_end.http, "brain_tumor_ui_upload_bytes") == 0, "nothing is held")
    assert send(front_end.http, picture(DIM), ANALYZE).status_code == 200
    assert "Traceback" not in front_end.log.read_text()


@pytest.mark.parametrize(
    "headers",
    [{"Transfer-Encoding": "chunked"}, {"Transfer-Encoding": "chunked", "Content-Length": None}],
)
def test_a_body_that_is_no_http_is_refused_once(
    front_end: FrontEnd, headers: dict[str, str | None]
) -> None:
    url = httpx.URL(front_end.address)
    with socket.create_connection((url.host, url.port or 80), 60) as connection:
        connection.sendall(request(b"no length of a chunk\r\n", ANALYZE, headers))
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1") == 1
    assert send(front_end.http, picture(DIM), ANALYZE).status_code == 200
    assert "Traceback" not in front_end.log.read_text()
