"""What operates the service: health, readiness, counts, memory, and the documentation."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import eventually
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import BRIGHT, DIM, error_of, picture, send
from tests.ui.scripted_server import ScriptedServer

#: Resident memory of the process, in bytes.
MOST_MEMORY = 400e6


def test_health_and_readiness(api: httpx.Client, model_server: ScriptedServer) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    ready = {"name": "brain_tumor", "version": 7, "versions": {"7": "AVAILABLE"}}
    assert api.get("/readyz").json() == ready
    model_server.behaviour = "missing"
    assert error_of(api.get("/readyz")) == (503, "model_not_found")
    assert api.get("/healthz").status_code == 200


@pytest.fixture(scope="module")
def fresh(run_front_end: RunFrontEnd, _model_server: ScriptedServer) -> Iterator[FrontEnd]:
    """A front end that nobody has asked yet."""
    with run_front_end("--server", _model_server.address, *NO_RATE) as running:
        yield running


def counts(http: httpx.Client) -> dict[str, float]:
    response = http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = (line for line in response.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_what_is_counted(fresh: FrontEnd, model_server: ScriptedServer) -> None:
    http = fresh.http
    send(http, picture(BRIGHT), name="jane_doe.png")
    send(http, picture(DIM), "/api/v1/analyze", name="jane_doe.png")
    send(http, b"hello", "/api/v1/analyze", name="jane_doe.png")
    send(http, b"hello", name="jane_doe.png")
    model_server.in_distribution = False
    send(http, picture(DIM))
    http.get("/api/v1/model/9")
    http.get("/jane_doe.png")
    prefix = "brain_tumor_ui_"
    asked = f'{prefix}requests_total{{route="/",status="200"}}'
    eventually(lambda: counts(http).get(asked) == 2, "both are counted")
    found = counts(http)
    for name, expected in {
        'requests_total{route="/",status="415"}': 1,
        'requests_total{route="/api/v1/analyze",status="200"}': 2,
        'requests_total{route="/api/v1/model/{version}",status="404"}': 1,
        'requests_total{route="page",status="404"}': 1,
        'request_seconds_count{route="/"}': 3,
        'slices_total{risk="high"}': 1,
        'slices_total{risk="low"}': 1,
        'slices_total{risk="unfamiliar"}': 1,
        'refused_files_total{code="unsupported_format"}': 2,
        "running": 0,
        "waiting": 0,
        "upload_bytes": 0,
    }.items():
        assert found[prefix + name] == expected, name
    assert found[prefix + 'phase_seconds_sum{phase="model"}'] > 0
    assert "jane" not in http.get("/metrics").text


def test_memory_stays_small(fresh: FrontEnd, model_server: ScriptedServer) -> None:
    for _ in range(20):
        files = [("file", picture(level)) for level in range(20, 220, 10)]
        fresh.http.post("/api/v1/analyze?map=true&picture=true", files=files).raise_for_status()
    assert counts(fresh.http)["process_resident_memory_bytes"] < MOST_MEMORY


def test_the_description_is_complete(api: httpx.Client) -> None:
    spec = api.get("/openapi.json").json()
    # That the README lists them all is tested in test_readme.py.
    assert set(spec["paths"]) >= {
        *("/", "/upload", "/healthz", "/readyz", "/metrics"),
        *("/api/v1/analyze", "/api/v1/report", "/api/v1/model", "/api/v1/model/{version}"),
    }
    names = [one["operationId"] for path in spec["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))
    for path in ("/", "/upload", "/api/v1/analyze", "/api/v1/report"):
        operation = spec["paths"][path]["post"]
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["required"] == ["file"]
        expected = {"200", "408", "413", "422", "429", "500", "502", "503", "504"}
        assert expected <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            if status != "200":
                body = answer["content"]["application/json"]
                assert body["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
                assert body["example"]["error"]["message"].endswith(".")
    stream = spec["paths"]["/api/v1/analyze"]["post"]["responses"]["200"]["content"]
    assert set(stream) == {"application/json", "application/x-ndjson"}
    assert len(spec["components"]["schemas"]["Event"]["oneOf"]) == 6
    for reference in re.findall(r'"#/components/schemas/(\w+)"', api.get("/openapi.json").text):
        assert reference in spec["components"]["schemas"]


def test_the_documentation_teaches_and_loads_nothing(api: httpx.Client) -> None:
    docs = api.get("/docs").text
    for expected in (
        *("POST /upload", "GET /healthz", "curl -F file=@scan.png", "in_distribution"),
        *("list of file, at most 1000", "application/x-ndjson", "ErrorBody", "boolean"),
        "&quot;event&quot;:&quot;refused&quot;",
    ):
        assert expected in docs
    assert "src=" not in docs
    assert 'href="http' not in docs
