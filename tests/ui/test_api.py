"""The HTTP API over a real socket: every answer, every error with its sentence."""

import io
import logging
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import ui.analyse
from serving.client import Client
from tests.ui.conftest import RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.scripted_server import ScriptedServer
from ui.analyse import Analyser
from ui.app import create_api
from ui.settings import Settings
from ui.uploads import WaitingScans

BRIGHT, DIM = 240, 20


def picture(level: int, form: str = "PNG") -> bytes:
    """A picture of mean brightness `level`, half a little darker, half a little brighter."""
    pixels = np.full((224, 224, 3), level, np.uint8)
    pixels[:112] -= 10
    pixels[112:] += 10
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, form)
    return encoded.getvalue()


def noise(side: int) -> bytes:
    """A picture that no compression makes smaller."""
    pixels = np.random.default_rng(5).integers(0, 256, (side, side, 3), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=0)
    return encoded.getvalue()


def send(
    api: httpx.Client | TestClient, payload: bytes, path: str = "/", name: str = "a.png"
) -> httpx.Response:
    return api.post(path, files={"file": (name, payload)})


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error; its body must be an error's and nothing else."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"].endswith(".")
    assert "Traceback" not in response.text
    return response.status_code, body["error"]["code"]


def test_a_bright_picture_is_a_tumour_for_this_model(api: httpx.Client) -> None:
    answer = send(api, picture(BRIGHT)).json()
    assert answer.pop("latency_ms").keys() == {"prepare", "model"}
    probability = answer.pop("probability")
    assert probability == pytest.approx(BRIGHT / 255, abs=1e-6)
    assert answer.pop("confidence") == probability
    assert answer == {
        "label": "tumor",
        "risk": "high",
        "in_distribution": True,
        "ood_score": 0.5,
        "thresholds": {"low": 0.25, "label": 0.5, "high": 0.75},
        "model": {"name": "brain_tumor", "version": 7},
        "disclaimer": "Not a medical device. For research and teaching.",
    }


def test_a_dim_picture_is_none_and_confidence_is_that_of_the_label(api: httpx.Client) -> None:
    answer = send(api, picture(DIM)).json()
    assert (answer["label"], answer["risk"]) == ("no_tumor", "low")
    assert answer["probability"] == pytest.approx(DIM / 255, abs=1e-6)
    assert answer["confidence"] == pytest.approx(1 - DIM / 255, abs=1e-6)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_both_paths_give_the_same_answer(api: httpx.Client, form: str) -> None:
    first, second = (send(api, picture(DIM, form), path).json() for path in ("/", "/upload"))
    for answer in (first, second):
        del answer["latency_ms"]
    assert first == second
    assert first["label"] == "no_tumor"


def test_an_unfamiliar_image_is_said_to_be_one(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    model_server.in_distribution = False
    assert send(api, picture(DIM)).json()["in_distribution"] is False


@pytest.mark.parametrize(
    ("payload", "status", "code", "sentence"),
    [
        (b"", 422, "empty", "The file is empty."),
        (b"hello", 415, "unsupported_format", "This is not a PNG, JPEG or WebP image."),
        (picture(DIM, "JPEG")[:-200], 422, "corrupt", "The image is damaged or incomplete."),
        (noise(16), 422, "too_small", "The image is 16 × 16 pixels;"),
        (
            b"x" * (16 * 2**20 + 1),
            413,
            "too_large",
            "The file is larger than 16 MB. Send a smaller export.",
        ),
    ],
    ids=["empty", "text", "truncated", "small", "large"],
)
@pytest.mark.parametrize("path", ["/", "/upload", "/page/scan"])
def test_a_file_that_is_no_scan(
    api: httpx.Client, path: str, payload: bytes, status: int, code: str, sentence: str
) -> None:
    response = send(api, payload, path, name="scan.png")
    assert error_of(response) == (status, code)
    assert response.json()["error"]["message"].startswith(sentence)


def test_a_body_without_announced_length_is_counted(api: httpx.Client) -> None:
    def body() -> Iterator[bytes]:
        yield b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield b"x" * 2**20
        yield b"\r\n--cut--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    response = api.post("/", content=body(), headers=headers)
    assert "content-length" not in response.request.headers
    assert error_of(response) == (413, "too_large")


def test_an_announced_length_that_is_too_short_buys_nothing(api: httpx.Client) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=cut\r\n"
        b"Content-Length: 10\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((api.base_url.host, api.base_url.port or 80), 10) as connection:
        connection.sendall(head + b"--cut\r\n" + b"x" * 2**16)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 422 ")


def test_the_limit_holds_for_every_route_of_the_page(api: httpx.Client) -> None:
    response = api.post("/gradio_api/run/predict", content=b" " * (17 * 2**20))
    assert error_of(response) == (413, "too_large")


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"data": {"file": "text"}},
        {"files": {"other": ("a", b"x")}},
        {"json": {"file": "data:image/png;base64,AAAA"}},
    ],
    ids=["nothing", "a text field", "another field", "json"],
)
def test_no_file(api: httpx.Client, request_: dict[str, Any]) -> None:
    response = api.post("/", **request_)
    assert error_of(response) == (422, "missing_file")
    assert "field `file`" in response.json()["error"]["message"]


@pytest.mark.parametrize("boundary", ["", "; boundary=cut"])
def test_a_broken_form(api: httpx.Client, boundary: str) -> None:
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    assert error_of(api.post("/", content=b"--oops", headers=headers)) == (422, "bad_form")


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ("busy", 503, "server_overloaded"),
        ("missing", 503, "model_not_found"),
        ("rejects", 502, "request_rejected"),
        ("nan", 502, "contract_error"),
        ("wrong_shape", 502, "contract_error"),
        ("unknown_label", 502, "contract_error"),
        ("hangs", 504, "deadline_exceeded"),
    ],
)
def test_a_model_server_at_fault(
    api: httpx.Client, model_server: ScriptedServer, behaviour: str, status: int, code: str
) -> None:
    model_server.behaviour = behaviour
    response = send(api, picture(BRIGHT))
    assert error_of(response) == (status, code)
    assert ("retry-after" in response.headers) == (status == 503)
    model_server.release.set()
    model_server.behaviour = "answers"
    assert send(api, picture(BRIGHT)).json()["label"] == "tumor"


def test_a_version_replaced_between_answer_and_card_is_asked_anew(
    bare_api: TestClient, model_server: ScriptedServer
) -> None:
    model_server.replaced = True
    assert send(bare_api, picture(BRIGHT)).json()["label"] == "tumor"
    assert model_server.replaced is False


def test_a_proxy_may_publish_it_under_a_path(
    run_front_end: RunFrontEnd, model_server: ScriptedServer
) -> None:
    with run_front_end("--server", model_server.address, "--root-path", "/scans") as running:
        assert f'"root":"{running.address}/scans"' in running.http.get("/").text
        assert running.http.get("/openapi.json").json()["servers"] == [{"url": "/scans"}]
        assert send(running.http, picture(BRIGHT)).status_code == 200
        assert running.http.get("/gradio_api/file=/etc/passwd").status_code == 404


def test_a_model_server_that_is_down(run_front_end: RunFrontEnd, free_port: Any) -> None:
    with run_front_end("--server", f"127.0.0.1:{free_port()}") as running:
        api = running.http
        response = send(api, picture(BRIGHT))
        assert error_of(response) == (503, "server_unavailable")
        assert response.headers["retry-after"] == "5"
        assert "127.0.0.1" not in response.text
        assert error_of(api.get("/healthz")) == (503, "server_unavailable")


def test_health(api: httpx.Client, model_server: ScriptedServer) -> None:
    assert api.get("/healthz").json() == {
        "status": "ok",
        "model": {"name": "brain_tumor", "version": 7},
        "versions": {"7": "AVAILABLE"},
    }
    model_server.behaviour = "missing"
    assert error_of(api.get("/healthz")) == (503, "model_not_found")


@pytest.fixture
def bare_api(model_server: ScriptedServer) -> Iterator[TestClient]:
    """The API in this process, where its insides can be tampered with."""
    settings = Settings(server=model_server.address)
    client = Client(settings.server, model=settings.model, timeout_s=settings.timeout_s)
    app = create_api(settings, Analyser(client, settings.model), WaitingScans())
    with TestClient(app, raise_server_exceptions=False) as test_client:
        yield test_client


def test_an_error_of_ours_tells_nothing(
    bare_api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(payload: bytes) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(ui.analyse, "prepare_scan", broken)
    response = send(bare_api, picture(DIM), name="jane_doe.png")
    assert error_of(response) == (500, "internal_error")
    assert "secret" not in response.text
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert "jane_doe" not in caplog.text


@pytest.mark.parametrize("path", ["/", "/page/scan"])
def test_uploads_never_touch_the_disk(
    bare_api: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with pytest.raises(FileNotFoundError), tempfile.TemporaryFile():
        pass
    payload = noise(2200)
    assert 13 * 2**20 < len(payload) < 16 * 2**20
    assert send(bare_api, payload, path).status_code == 200


def test_file_names_are_not_logged(front_end: FrontEnd, model_server: ScriptedServer) -> None:
    for behaviour in ("answers", "busy"):
        model_server.behaviour = behaviour
        send(front_end.http, picture(DIM), name="jane_doe.png")
    log = front_end.log.read_text()
    assert "ServerOverloaded" in log
    assert "jane_doe" not in log


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=http://127.0.0.1:1/"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1:1/"),
        ("GET", "/gradio_api/deep_link?session_hash=x"),
        ("GET", "/gradio_api//deep_link?session_hash=x"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/vibe-edit"),
        ("GET", "/monitoring"),
        ("GET", "/static/..%2f..%2f..%2fpage.py"),
    ],
)
def test_what_the_page_does_not_need_is_closed(api: httpx.Client, method: str, path: str) -> None:
    assert api.request(method, path).status_code in (403, 404)


def test_the_page_is_at_the_root_with_safe_headers(api: httpx.Client) -> None:
    response = api.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "Not a medical device." in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert "cheng_" not in response.text


@pytest.mark.parametrize("path", ["/", "/upload", "/healthz", "/gradio_api/startup-events"])
def test_cors_is_closed(api: httpx.Client, path: str) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for response in (api.get(path, headers=headers), api.options(path, headers=headers)):
        assert "access-control-allow-origin" not in response.headers


def test_cors_opens_for_the_origins_named(
    run_front_end: RunFrontEnd, model_server: ScriptedServer
) -> None:
    named, other = "https://clinic.example", "https://evil.example"
    with run_front_end("--server", model_server.address, "--cors-origins", named) as running:
        for origin, allowed in ((named, named), (other, None)):
            response = running.http.post(
                "/", files={"file": picture(DIM)}, headers={"Origin": origin}
            )
            assert response.status_code == 200
            assert response.headers.get("access-control-allow-origin") == allowed


def test_the_documentation_teaches_and_loads_nothing(api: httpx.Client) -> None:
    spec = api.get("/openapi.json").json()
    assert set(spec["paths"]) == {"/", "/upload", "/healthz"}
    for path in ("/", "/upload"):
        operation = spec["paths"][path]["post"]
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["required"] == ["file"]
        assert {"200", "413", "415", "422", "500", "502", "503", "504"} <= set(
            operation["responses"]
        )
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": "#/components/schemas/Analysis"}
    docs = api.get("/docs").text
    for expected in ("POST /upload", "GET /healthz", "curl -F file=@scan.png", "in_distribution"):
        assert expected in docs
    assert "src=" not in docs
    assert 'href="http' not in docs
