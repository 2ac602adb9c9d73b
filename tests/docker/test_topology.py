"""From outside through TLS to the model and back, with the containers' own settings."""

from pathlib import Path

import httpx
import pytest

from tests.docker.topology import MAX_BODY, Topology


@pytest.mark.parametrize("folder", ["yes", "no"])
def test_a_scan_is_answered_through_the_proxy(
    topology: Topology, samples: dict[str, list[Path]], folder: str
):
    scan = samples[folder][0]
    answer = topology.proxy.post("/", files={"file": (scan.name, scan.read_bytes())})
    assert answer.status_code == 200, answer.text
    assert answer.json()["label"] == {"yes": "tumor", "no": "no_tumor"}[folder]
    assert answer.json()["model"]["version"] == max(topology.serving.versions())
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_streams_pass_the_proxy_in_whole_lines(topology: Topology, samples: dict[str, list[Path]]):
    files = [("file", (path.name, path.read_bytes())) for path in samples["yes"][:3]]
    with topology.proxy.stream(
        "POST", "/api/v1/analyze", files=files, headers={"Accept": "application/x-ndjson"}
    ) as answer:
        events = [line for line in answer.iter_lines() if line]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert len(events) == 3 + 1 + 3 + 1  # studies, the model, slices, the end


def test_a_body_over_the_limit_ends_at_the_proxy(topology: Topology):
    answer = topology.proxy.post("/", files={"file": ("a.png", b"\0" * (MAX_BODY + 1))})
    assert answer.status_code == 413
    assert "error" not in answer.text  # the page, which allows more, would have said so in JSON


def test_what_is_not_encrypted_is_sent_on_to_tls(topology: Topology):
    answer = httpx.get(topology.plain + "/docs")
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://localhost/docs"


def test_metrics_stay_inside(topology: Topology):
    assert topology.page.get("/metrics").status_code == 200
    assert topology.proxy.get("/metrics").status_code == 404
