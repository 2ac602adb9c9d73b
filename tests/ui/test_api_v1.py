"""`/api/v1`: many files in one request, gathered or as a stream; the model and its card."""

import json

import httpx
import pytest

from tests.ui.pictures import BRIGHT, DIM, error_of, picture
from tests.ui.scripted_server import VERSION, ScriptedServer
from ui.run import BATCH

ANALYZE = "/api/v1/analyze"
NDJSON = {"Accept": "application/x-ndjson"}


def files(*payloads: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"jane_doe_{n}.png", payload)) for n, payload in enumerate(payloads)]


def events(response: httpx.Response) -> list[dict]:
    return [json.loads(line) for line in response.text.splitlines()]


def test_map_and_picture_are_there_when_asked_for(api: httpx.Client) -> None:
    response = api.post(ANALYZE, files=files(picture(DIM)), params={"map": 1, "picture": 1})
    (only,) = response.json()["results"][0]["slices"]
    assert only["heatmap"] == [[1, 0], [0, 0]]
    for part in ("picture", "overlay"):
        assert only[part].startswith("data:image/png;base64,")


def test_only_bad_files_are_an_answer_of_reasons(api: httpx.Client) -> None:
    response = api.post(ANALYZE, files=files(b"", b"hello"))
    assert response.status_code == 200
    report = response.json()
    assert [one["error"]["code"] for one in report["refused"]] == ["empty", "unsupported_format"]
    assert (report["results"], report["model"], report["thresholds"]) == ([], None, None)


def test_a_stream_tells_each_answer_in_order(api: httpx.Client) -> None:
    response = api.post(ANALYZE, files=files(picture(DIM), b"", picture(BRIGHT)), headers=NDJSON)
    assert response.headers["content-type"] == "application/x-ndjson"
    told = events(response)
    assert [one["event"] for one in told] == [
        *("study", "refused", "study", "model", "slice", "slice", "end"),
    ]
    assert [one["slice"]["decision"]["risk"] for one in told if one["event"] == "slice"] == [
        "low",
        "high",
    ]
    assert "jane_doe" not in response.text


def test_a_model_server_that_fails_on_the_way(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    """A stream has begun and ends with the reason; a report is an error with its status."""
    model_server.fails_after = 1
    many = files(*[picture(DIM)] * (BATCH + 1))
    told = events(api.post(ANALYZE, files=many, headers=NDJSON))
    assert [one["event"] for one in told].count("slice") == BATCH
    assert told[-1]["event"] == "failed"
    assert told[-1]["error"]["code"] == "contract_error"
    model_server.fails_after = 1
    assert error_of(api.post(ANALYZE, files=many)) == (502, "contract_error")


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ("busy", 503, "server_overloaded"),
        ("missing", 503, "model_not_found"),
        ("nan", 502, "contract_error"),
        ("hangs", 504, "deadline_exceeded"),
    ],
)
def test_a_report_has_the_status_of_its_error(
    api: httpx.Client, model_server: ScriptedServer, behaviour: str, status: int, code: str
) -> None:
    model_server.behaviour = behaviour
    assert error_of(api.post(ANALYZE, files=files(picture(DIM)))) == (status, code)


def test_more_files_than_a_request_may_have(api: httpx.Client) -> None:
    response = api.post(ANALYZE, files=files(*[b"x"] * 1001))
    assert error_of(response) == (422, "too_many_files")
    assert response.json()["error"]["message"] == "Send at most 1000 files in a request."


def test_no_file(api: httpx.Client) -> None:
    assert error_of(api.post(ANALYZE, data={"file": "text"})) == (422, "missing_file")


def test_the_model(api: httpx.Client, model_server: ScriptedServer) -> None:
    known = {"name": "brain_tumor", "version": VERSION, "versions": {str(VERSION): "AVAILABLE"}}
    assert api.get("/api/v1/model").json() == known
    model_server.behaviour = "missing"
    assert error_of(api.get("/api/v1/model")) == (503, "model_not_found")


def test_the_card_of_a_version(api: httpx.Client) -> None:
    assert api.get(f"/api/v1/model/{VERSION}").json()["model"] == "brain_tumor"
    unknown = api.get("/api/v1/model/9")
    assert error_of(unknown) == (404, "version_not_found")
    assert unknown.json()["error"]["message"].startswith("Version 9 is not served.")


@pytest.mark.parametrize("version", ["0", "-1", "seven", str(2**63)])
def test_what_is_no_version(api: httpx.Client, version: str) -> None:
    response = api.get(f"/api/v1/model/{version}")
    assert error_of(response) == (422, "bad_request")
    assert response.json()["error"]["message"] == "`version` cannot be read. See /docs."


def test_what_is_not_there(api: httpx.Client) -> None:
    assert error_of(api.get("/api/v1/nothing")) == (404, "not_found")
    wrong = api.get(ANALYZE)
    assert error_of(wrong) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
