"""Gradio's named events, asked by a real gradio_client."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.conftest import eventually
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import BRIGHT, DIM, noise, picture
from tests.ui.scripted_server import VERSION, ScriptedServer
from ui.admission import Budget
from ui.failures import AnalysisError
from ui.parcels import Parcels

MB = 2**20
Ask = Callable[..., dict]


def base64(payload: bytes) -> str:
    return b64encode(payload).decode()


def connect(front_end: FrontEnd, **options: object) -> Client:
    return Client(
        front_end.address, verbose=False, analytics_enabled=False, download_files=False, **options
    )


@pytest.fixture(scope="module")
def _client(_front_end: FrontEnd) -> Iterator[Client]:
    client = connect(_front_end)
    yield client
    client.close()


@pytest.fixture
def ask(_client: Client, front_end: FrontEnd) -> Ask:
    """Ask an event and read its JSON."""

    def predict(event: str, **values: object) -> dict:
        return _client.predict(**values, api_name=event)

    return predict


def test_analyze_gives_the_report_of_the_api(ask: Ask, api: httpx.Client) -> None:
    told = ask("/analyze", image=base64(picture(BRIGHT)), map=True)
    files = {"file": ("a.png", picture(BRIGHT))}
    expected = api.post("/api/v1/analyze", files=files, params={"map": True}).json()
    for report in (told, expected):
        del report["latency_ms"]
    assert told == expected
    assert told["results"][0]["slices"][0]["heatmap"] == [[1, 0], [0, 0]]


def test_a_data_address_will_do_and_no_map_unless_asked_for(ask: Ask) -> None:
    told = ask("/analyze", image="data:image/png;base64," + base64(picture(DIM)))
    (only,) = told["results"][0]["slices"]
    assert only["decision"]["probability"] == pytest.approx(DIM / 255, abs=1e-6)
    assert only["heatmap"] is None


def test_model(ask: Ask, model_server: ScriptedServer) -> None:
    assert ask("/model")["version"] == VERSION
    model_server.behaviour = "missing"
    with pytest.raises(AppError, match="no version of the model is ready"):
        ask("/model")


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("", "The file is empty."),
        (base64(b"hello"), "This is not a PNG, JPEG or WebP image."),
        ("no base64!", "`image` is not base64."),
        ("é", "`image` is not base64."),
        (7, "`image` is not base64."),
        (base64(picture(DIM)[:16] + b"x" * (16 * MB)), "The file is larger than 16 MB."),
    ],
    ids=["empty", "text", "no base64", "not ASCII", "a number", "large"],
)
def test_what_is_no_scan_has_its_sentence(ask: Ask, image: object, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        ask("/analyze", image=image)


def test_a_model_server_at_fault(ask: Ask, model_server: ScriptedServer) -> None:
    model_server.behaviour = "nan"
    with pytest.raises(AppError, match="no diagnosis was read from it"):
        ask("/analyze", image=base64(picture(DIM)))


def test_both_are_described_with_names_and_types(api: httpx.Client) -> None:
    described = api.get("/gradio_api/info").json()["named_endpoints"]
    assert set(described) == {"/analyze", "/model"}
    taken = {
        one["parameter_name"]: one["python_type"]["type"]
        for one in described["/analyze"]["parameters"]
    }
    assert taken == {"image": "str", "map": "bool"}


def test_curl_can_ask_too(api: httpx.Client) -> None:
    asked = api.post("/gradio_api/call/analyze", json={"data": [base64(picture(DIM)), False]})
    answer = api.get(f"/gradio_api/call/analyze/{asked.json()['event_id']}").text
    event, data = answer.strip().splitlines()[:2]
    assert event == "event: complete"
    (report,) = json.loads(data.removeprefix("data: "))
    assert report["results"][0]["slices"][0]["decision"]["label"] == "no_tumor"


FILE = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("queue/join", {"data": [FILE], "fn_index": 0, "session_hash": "x"}),
        ("queue/join", {"data": [[FILE]], "fn_index": 0, "session_hash": "x"}),
        ("queue/join", {"data": {"0": FILE}, "fn_index": 0, "session_hash": "x"}),
        ("call/analyze", {"data": [FILE | {"path": "http://127.0.0.1:1/"}, False]}),
        ("call/v2/analyze", {"image": FILE}),
        ("queue/join", [FILE]),
    ],
)
def test_an_event_that_names_a_file_or_an_address_is_refused(
    api: httpx.Client, path: str, body: object
) -> None:
    assert api.post(f"/gradio_api/{path}", json=body).status_code == 422


def test_no_event_skips_the_queue(api: httpx.Client) -> None:
    body = {"data": [base64(picture(DIM)), False]}
    for path in ("run/analyze", "api/analyze", "run/predict"):
        assert api.post(f"/gradio_api/{path}", json=body).status_code == 404


def test_no_scan_stays_in_memory(front_end: FrontEnd) -> None:
    """Gradio keeps what each session sent last, for an hour: twenty times 12 MB and more would show.

    What freed memory the allocator keeps levels off within some requests, hence those before.
    """

    def resident() -> float:
        lines = front_end.http.get("/metrics").text.splitlines()
        (line,) = (one for one in lines if one.startswith("process_resident_memory_bytes"))
        return float(line.split()[1])

    image = base64(noise(1700))
    assert len(image) > 11 * MB
    before = 0.0
    for n in range(30):
        if n == 10:
            before = resident()
        asked = front_end.http.post(
            "/gradio_api/queue/join",
            json={"data": [image, False], "fn_index": 0, "session_hash": f"s{n}"},
        )
        data = {"session_hash": f"s{n}"}
        told = front_end.http.get("/gradio_api/queue/data", params=data).text
        assert '"msg":"process_completed"' in told
        assert '"success":true' in told
        assert asked.status_code == 200
    assert resident() - before < 120 * MB
    held = "brain_tumor_ui_upload_bytes 0.0"
    eventually(lambda: held in front_end.http.get("/metrics").text, "nothing is held")


def test_events_that_never_fetch_their_scan_keep_no_others_out() -> None:
    budget = Budget(4000)
    parcels = Parcels(budget)
    ticket = parcels.deposit("x" * 1000)
    with pytest.raises(AnalysisError, match="Too many scans"):
        parcels.deposit("y")
    with parcels.redeemed(ticket) as text:
        assert text == "x" * 1000
        assert parcels.deposit("y") != ticket
    assert budget.held == 1
    with parcels.redeemed(ticket) as text:
        assert text == ticket


def test_a_scan_that_is_not_fetched_is_forgotten() -> None:
    budget = Budget(4000)
    parcels = Parcels(budget, lifetime_s=0)
    ticket = parcels.deposit("x" * 1000)
    time.sleep(0.001)  # the clock moves on
    parcels.deposit("y" * 1000)
    assert budget.held == 1000
    with parcels.redeemed(ticket) as text:
        assert text == ticket


def test_behind_a_login(
    run_front_end: RunFrontEnd, model_server: ScriptedServer, tmp_path: Path
) -> None:
    keys, logins = tmp_path / "keys", tmp_path / "logins"
    keys.write_text("0123456789abcdef")
    logins.write_text("name:word")
    for path in (keys, logins):
        path.chmod(0o600)
    flags = ("--login-file", str(logins), "--api-key-file", str(keys), *NO_RATE)
    with run_front_end("--server", model_server.address, *flags) as running:
        for options in (
            {"httpx_kwargs": {"auth": ("name", "word")}},
            {"headers": {"X-API-Key": "0123456789abcdef"}},
        ):
            client = connect(running, **options)
            told = client.predict(image=base64(picture(BRIGHT)), api_name="/analyze")
            assert told["results"][0]["slices"][0]["decision"]["label"] == "tumor"
            client.close()
        with pytest.raises(Exception, match="credentials were not provided"):
            connect(running)
