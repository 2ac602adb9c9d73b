"""Prometheus text: the recorded names, and counts that grow as TensorFlow Serving's did."""

import re
from collections import Counter

import grpc
import pytest

from tests.conformance import recorded

RECORDED = recorded.exchange("Prometheus text (lines of the server itself)", "REST")
#: Of parts that a server may be without: request logging, ML metadata, priorities, tf.Example.
OPTIONAL = re.compile(
    r"mlmd_map|request_log_count|mixed_priority_batching_policy|request_example_count"
)
SERVING = ":tensorflow:serving:"


def page(server) -> str:
    answer = server.http("GET", RECORDED["request"]["path"])
    if server.external and answer.status_code == 404:
        pytest.fail("Start it with --monitoring_config_file=serving/config/monitoring.config")
    assert answer.status_code == RECORDED["status"]
    assert answer.headers["content-type"].split(";")[0] == "text/plain"
    return answer.text


def counts(server) -> Counter:
    """Values of the counters, and of the histograms' counts, by name and labels."""
    rows = re.findall(r"^(:\S+?)(\{.*\}) (\d+)$", page(server), re.MULTILINE)
    return Counter({name + labels: int(value) for name, labels, value in rows})


def test_the_recorded_metrics_are_there_with_their_types(server):
    server.predict()
    found = set(page(server).splitlines())
    for line in RECORDED["body"]:
        if line.startswith("# TYPE") and not OPTIONAL.search(line):
            assert line in found


def test_labels_and_sums_are_written_as_recorded(server):
    server.predict()
    server.http("GET", "/v1/models/brain_tumor")
    body = '{"signature_name": "rgb", "instances": [{"b64": "AAAA"}]}'
    server.http("POST", "/v1/models/brain_tumor:predict", body)
    found = {line.rsplit(" ", 1)[0] for line in page(server).splitlines()}
    for line in RECORDED["body"]:
        series = line.rsplit(" ", 1)[0]
        if line.startswith("#") or "status=" in series:
            continue
        assert series in found, series


def test_counts_and_latencies_grow_with_the_requests(server):
    before = counts(server)
    body = '{"signature_name": "rgb", "instances": [{"b64": "AAAA"}]}'
    server.predict()
    server.predict()
    for _ in range(3):
        server.http("POST", "/v1/models/brain_tumor:predict", body)
    server.http("GET", "/v1/models/brain_tumor")
    server.http("GET", "/v1/models/nope")
    server.http("GET", "/v1/models/brain_tumor/versions/99/metadata")
    server.http("DELETE", "/v1/models/brain_tumor")
    for spec in ({"name": "nope"}, {"name": ""}, {"signature": "nope"}):
        with pytest.raises(grpc.RpcError):
            server.predict(**spec)
    grown = counts(server) - before
    requests = SERVING + "request_count"
    # As the recording counts: gRPC inference and everything over REST; latency only of successes.
    assert {name: value for name, value in grown.items() if name.startswith(requests)} == {
        requests + '{model_name="brain_tumor",status="OK"}': 2 + 3 + 1,
        requests + '{model_name="brain_tumor",status="NOT_FOUND"}': 1,
        requests + '{model_name="brain_tumor",status="FAILED_PRECONDITION"}': 1,
        requests + '{model_name="nope",status="NOT_FOUND"}': 2,
        requests + '{model_name="",status="INVALID_ARGUMENT"}': 2,
    }
    latency = SERVING + "request_latency_count"
    assert {name: value for name, value in grown.items() if name.startswith(latency)} == {
        latency + '{model_name="brain_tumor",API="Predict",entrypoint="GRPC"}': 2,
        latency + '{model_name="brain_tumor",API="predict",entrypoint="REST"}': 3,
        latency + '{model_name="brain_tumor",API="",entrypoint="REST"}': 1,
    }
    runtime = SERVING + "runtime_latency_count"
    assert grown[runtime + '{model_name="brain_tumor",API="Predict",runtime="TF1"}'] == 2 + 3


def test_buckets_are_cumulative_and_end_at_the_count(server):
    server.predict()
    name = SERVING + "request_latency"
    labels = 'model_name="brain_tumor",API="Predict",entrypoint="GRPC"'
    text = page(server)
    pattern = re.escape(f"{name}_bucket{{{labels},le=") + r'"(.+)"\} (\d+)'
    buckets = re.findall(pattern, text)
    assert [limit for limit, _ in buckets[:4]] == ["10", "18", "32.4", "58.32"]
    assert buckets[-1][0] == "+Inf"
    values = [int(value) for _, value in buckets]
    assert values == sorted(values)
    assert f"{name}_count{{{labels}}} {values[-1]}\n" in text
