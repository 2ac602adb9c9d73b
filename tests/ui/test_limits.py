"""Too often, too much, too many at once: each is refused in words, and nothing stays behind."""

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.conftest import eventually
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import DIM, error_of, noise, picture, send
from tests.ui.scripted_server import ScriptedServer
from ui.admission import Budget
from ui.rate_limit import client_of, rate
from ui.uploads import BodyLimit

ANALYZE = "/api/v1/analyze"
MB = 2**20


def gauge(api: httpx.Client, name: str) -> float:
    """A number of /metrics."""
    lines = api.get("/metrics").text.splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
    return float(value)


# Size


def test_the_limit_of_one_scan_holds_for_gradio_too(api: httpx.Client) -> None:
    response = api.post("/gradio_api/queue/join", content=b" " * (25 * MB))
    assert error_of(response) == (413, "too_large")


def test_many_files_have_a_limit_together(api: httpx.Client) -> None:
    def body() -> Iterator[bytes]:
        yield b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(258):
            yield b"x" * MB
        yield b"\r\n--cut--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    response = api.post(ANALYZE, content=body(), headers=headers)
    assert error_of(response) == (413, "too_large")
    assert "256 MB together" in response.json()["error"]["message"]
    eventually(lambda: gauge(api, "brain_tumor_ui_upload_bytes") == 0, "nothing is held")


def test_an_upload_that_stops_gives_its_room_back() -> None:
    budget = Budget(1000)

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            assert budget.held == 10

    sent = [{"type": "http.request", "body": b"x" * 10, "more_body": True}]
    answers: list[Message] = []

    async def receive() -> Message:
        if not sent:
            await anyio.sleep_forever()
        return sent.pop()

    async def send(message: Message) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": ANALYZE, "headers": []}
    anyio.run(BodyLimit(reader, budget, stall_s=0.05), scope, receive, send)
    assert [one.get("status") for one in answers] == [408, None]
    assert json.loads(answers[1]["body"])["error"]["code"] == "upload_stalled"
    assert budget.held == 0


def test_who_waits_for_an_answer_is_not_stalled() -> None:
    """After its body a connection says nothing, for as long as the analysis takes."""
    asked = []

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with anyio.move_on_after(0.2):
            asked.append(await receive())

    async def receive() -> Message:
        if asked:
            await anyio.sleep_forever()
        asked.append({"type": "http.request", "body": b"", "more_body": False})
        return asked[0]

    async def send(message: Message) -> None:
        pytest.fail("nothing is to be said")

    scope = {"type": "http", "method": "POST", "path": ANALYZE, "headers": []}
    anyio.run(BodyLimit(reader, Budget(1), stall_s=0.05), scope, receive, send)
    assert len(asked) == 1


# Memory and places


@pytest.fixture(scope="module")
def narrow(run_front_end: RunFrontEnd, _model_server: ScriptedServer) -> Iterator[FrontEnd]:
    """A front end with room for one analysis, one that waits, and four megabytes."""
    flags = ("--running", "1", "--waiting", "1", "--memory-mb", "4", "--timeout-s", "60")
    with run_front_end("--server", _model_server.address, *flags, *NO_RATE) as running:
        yield running


def test_uploads_that_memory_has_no_room_for(
    narrow: FrontEnd, model_server: ScriptedServer
) -> None:
    refused = send(narrow.http, noise(1300), ANALYZE)  # 5 MB
    assert error_of(refused) == (503, "busy")
    assert refused.headers["retry-after"] == "5"
    eventually(lambda: gauge(narrow.http, "brain_tumor_ui_upload_bytes") == 0, "nothing is held")
    assert send(narrow.http, noise(1000), ANALYZE).status_code == 200  # 3 MB
    image = b64encode(noise(1000)).decode()  # 4 MB twice, once as it came and once for the event
    refused = narrow.http.post("/gradio_api/call/analyze", json={"data": [image, False]})
    assert error_of(refused) == (503, "busy")
    eventually(lambda: gauge(narrow.http, "brain_tumor_ui_upload_bytes") == 0, "nothing is held")


def test_no_more_wait_than_may(narrow: FrontEnd, model_server: ScriptedServer) -> None:
    def at(running: int, waiting: int) -> bool:
        return (
            gauge(narrow.http, "brain_tumor_ui_running"),
            gauge(narrow.http, "brain_tumor_ui_waiting"),
        ) == (running, waiting)

    model_server.behaviour = "hangs"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(send, narrow.http, picture(DIM))
        eventually(lambda: at(1, 0), "the first one runs")
        # One that goes away while it waits.
        with _connection(narrow) as second:
            second.sendall(_request(picture(DIM)))
            eventually(lambda: at(1, 1), "the second one waits")
            refused = send(narrow.http, picture(DIM), ANALYZE)
            assert error_of(refused) == (503, "busy")
            assert refused.headers["retry-after"] == "5"
        eventually(lambda: at(1, 0), "the second one gave up")
        third = pool.submit(send, narrow.http, picture(DIM), ANALYZE)
        eventually(lambda: at(1, 1), "the third one waits")
        model_server.release.set()
        assert first.result().status_code == third.result().status_code == 200
    eventually(lambda: at(0, 0), "all are answered")
    assert "Traceback" not in narrow.log.read_text()


def test_a_place_lasts_until_a_stream_has_ended(
    narrow: FrontEnd, model_server: ScriptedServer
) -> None:
    model_server.behaviour = "hangs"
    ndjson = {"Accept": "application/x-ndjson"}
    files = {"file": ("a.png", picture(DIM))}
    with httpx.stream(
        "POST", f"{narrow.address}{ANALYZE}", files=files, headers=ndjson, timeout=60
    ) as stream:
        lines = stream.iter_lines()
        assert '"event":"study"' in next(lines)
        assert gauge(narrow.http, "brain_tumor_ui_running") == 1
        model_server.release.set()
        assert '"event":"end"' in list(lines)[-1]
    eventually(lambda: gauge(narrow.http, "brain_tumor_ui_running") == 0, "its place is free")


def test_fifty_at_once_are_all_answered(front_end: FrontEnd) -> None:
    levels = [20 + 4 * n for n in range(50)]
    start = threading.Barrier(len(levels))

    def ask(level: int) -> float:
        start.wait()
        return send(front_end.http, picture(level)).json()["probability"]

    with ThreadPoolExecutor(len(levels)) as pool:
        answers = list(pool.map(ask, levels))
    assert answers == pytest.approx([level / 255 for level in levels], abs=1e-6)


def _connection(front_end: FrontEnd) -> socket.socket:
    url = front_end.http.base_url
    return socket.create_connection((url.host, url.port or 80), 60)


def _request(payload: bytes) -> bytes:
    request = httpx.Request("POST", "http://x/", files={"file": ("a.png", payload)})
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST / HTTP/1.1\r\n{head}\r\n".encode() + request.read()


# Rate


def test_the_rate_is_that_of_one_address_and_a_header_is_no_address(
    run_front_end: RunFrontEnd, model_server: ScriptedServer
) -> None:
    with run_front_end("--server", model_server.address, "--rate-limit", "3/hour") as running:
        api = running.http
        for n in range(3):
            headers = {"X-Forwarded-For": f"192.0.2.{n}"}
            assert api.post("/", files={"file": picture(DIM)}, headers=headers).status_code == 200
        for path in ("/", ANALYZE, "/gradio_api/queue/join"):
            refused = api.post(path, headers={"X-Forwarded-For": "192.0.2.9"})
            assert error_of(refused) == (429, "too_many_requests")
            assert 3500 < int(refused.headers["retry-after"]) <= 3600
        for path in ("/", "/readyz", "/page/assets/api.js", "/api/v1/model"):
            assert api.get(path).status_code == 200


def test_behind_a_proxy_that_is_trusted_each_client_has_its_own(
    run_front_end: RunFrontEnd, model_server: ScriptedServer
) -> None:
    flags = ("--rate-limit", "1/hour", "--trusted-proxies", "127.0.0.0/8")
    with run_front_end("--server", model_server.address, *flags) as running:

        def ask(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            files = {"file": picture(DIM)}
            return running.http.post("/", files=files, headers=headers).status_code

        assert [ask("192.0.2.1"), ask("192.0.2.2"), ask("192.0.2.1")] == [200, 200, 429]
        # What a client writes itself stands before what the proxy adds.
        assert ask("203.0.113.5, 192.0.2.2") == 429


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_whose_request_it_is(address: str, client: str) -> None:
    scope: dict[str, Any] = {"client": (address, 1)}
    assert client_of(scope) == client


def test_what_is_no_rate() -> None:
    assert rate("0") is rate("") is None
    with pytest.raises(ValueError, match="'fast' is no rate"):
        rate("fast")
