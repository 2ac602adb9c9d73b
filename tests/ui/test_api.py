"""The HTTP API over a real socket: every answer, every error with its sentence."""

import logging
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import ui.run
from tests.ui.conftest import RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import BRIGHT, DIM, error_of, noise, picture, send
from tests.ui.scripted_server import ScriptedServer


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
        (b"hello", 415, "unsupported_format", "This is not a PNG, JPEG or WebP image"),
        (picture(DIM, "JPEG")[:-200], 422, "corrupt", "The image is damaged or incomplete."),
        (noise(16), 422, "too_small", "The image is 16 × 16 pixels;"),
        (
            b"\x89PNG\r\n\x1a\n" + b"x" * (16 * 2**20),
            413,
            "too_large",
            "The file is larger than 16 MB. Send a smaller export.",
        ),
    ],
    ids=["empty", "text", "truncated", "small", "large"],
)
@pytest.mark.parametrize("path", ["/", "/upload"])
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


def test_two_files_where_one_is_taken(api: httpx.Client) -> None:
    response = api.post("/", files=[("file", picture(DIM))] * 2)
    assert error_of(response) == (422, "too_many_files")
    assert response.json()["error"]["message"] == "Send one file in a request."


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=cut", "; boundary=cut; charset=none", "; charset=utf-16"]
)
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


def test_a_model_server_that_is_down(run_front_end: RunFrontEnd, free_port: Any) -> None:
    with run_front_end("--server", f"127.0.0.1:{free_port()}") as running:
        api = running.http
        response = send(api, picture(BRIGHT))
        assert error_of(response) == (503, "server_unavailable")
        assert response.headers["retry-after"] == "5"
        assert "127.0.0.1" not in response.text
        assert error_of(api.get("/readyz")) == (503, "server_unavailable")
        assert api.get("/healthz").status_code == 200


def test_an_error_of_ours_tells_nothing(
    bare_api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(files: object) -> Iterator[None]:
        raise RuntimeError("secret")
        yield

    monkeypatch.setattr(ui.run, "read_studies", broken)
    response = send(bare_api, picture(DIM), name="jane_doe.png")
    assert error_of(response) == (500, "internal_error")
    assert "secret" not in response.text
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert "jane_doe" not in caplog.text


@pytest.mark.parametrize("path", ["/", "/upload"])
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
