"""Every recorded REST exchange, good and bad, sent again."""

import json

import pytest

from tests.conformance import recorded
from tests.conformance.recorded_model import BIASES


@pytest.mark.parametrize("exchange", recorded.exchanges("REST"))
def test_rest_answers_as_recorded(server, exchange):
    request = exchange["request"]
    answer = server.http(
        request["method"], request["path"], recorded.rest_body(request), request["headers"]
    )
    if exchange["name"] in recorded.MAY_REFUSE and answer.status_code == 400:
        assert answer.json()["error"]
        return
    assert answer.status_code == exchange["status"], answer.text[:500]
    content_type = answer.headers["content-type"].split(";")[0]
    assert content_type == exchange["content_type"].split(";")[0]
    if content_type != "application/json":
        assert answer.text == exchange["body"]
        return
    body, expected = answer.json(), exchange["body"]
    if "error" in expected:
        assert body.keys() == {"error"}
        if exchange["name"] in recorded.TEXT_OF_THE_GRAPH:
            assert body["error"]
        else:
            assert recorded.same_sense(body["error"], expected["error"]), body["error"]
        return
    if "model_version_status" in body:  # others may have come and gone before
        rows = body["model_version_status"]
        body["model_version_status"] = [row for row in rows if int(row["version"]) in BIASES]
    assert recorded.same_value(body, expected), json.dumps(body)[:2000]


def test_all_recorded_exchanges_are_replayed():
    assert len(recorded.EXCHANGES) == 78
    rest, over_grpc = recorded.exchanges("REST"), recorded.exchanges("gRPC")
    apart = [
        one["name"]
        for one in recorded.EXCHANGES
        if "reload" in one["name"] or one["name"].startswith("Prometheus")
    ]
    assert len(rest) + len(over_grpc) + len(apart) == 78
    # Sent by test_reload.py and test_metrics.py.
    assert apart == [
        "reload with an empty config",
        "reload to version 1 only",
        "status after the reload",
        "predict, version 2 after the reload",
        "Prometheus text (lines of the server itself)",
    ]


@pytest.mark.parametrize("label", ["stable", "canary"])
def test_explain_and_rgb_answer_in_both_forms_by_label(server, label):
    image = recorded.GREY[0].tolist()
    path = f"/v1/models/brain_tumor/labels/{label}:predict"
    rows = server.http(
        "POST", path, json.dumps({"signature_name": "explain", "instances": [image]})
    ).json()["predictions"]
    columns = server.http(
        "POST", path, json.dumps({"signature_name": "explain", "inputs": {"images": [image]}})
    ).json()["outputs"]
    assert {name: [value] for name, value in rows[0].items()} == columns
    assert len(rows[0]["heatmap"]) == len(rows[0]["heatmap"][0]) == 7
