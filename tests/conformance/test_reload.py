"""Another configuration by request: version policies and labels."""

import grpc
import pytest
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

from tests.conformance import recorded
from tests.conformance.server import ALL, LABELS, MODEL, TIMEOUT_S, predict_request
from tests.conftest import eventually

VERSION_1, VERSION_2 = 0.501960814, 0.564106


def test_an_empty_config_is_refused(server):
    expected = recorded.exchange("reload with an empty config")
    with pytest.raises(grpc.RpcError) as caught:
        server.models.HandleReloadConfigRequest(
            model_management_pb2.ReloadConfigRequest(), TIMEOUT_S
        )
    assert caught.value.code().name == expected["code"]
    assert recorded.same_sense(caught.value.details(), expected["details"])


def test_reload_to_version_1_only(server):
    assert recorded.exchange("reload to version 1 only")["code"] == "OK"
    server.reload("specific { versions: 1 }", {"stable": 1})
    eventually(lambda: server.states()[2] == "END", "version 2 is unloaded")

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = MODEL
    answer = server.models.GetModelStatus(request, TIMEOUT_S)
    rows = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    expected = recorded.exchange("status after the reload")["response"]["model_version_status"]
    for row in expected:
        assert row in rows["model_version_status"]

    gone = recorded.exchange("predict, version 2 after the reload")
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.Predict(predict_request({}, version=2), TIMEOUT_S)
    assert caught.value.code().name == gone["code"]
    assert recorded.same_sense(caught.value.details(), gone["details"])
    assert server.probability() == pytest.approx(VERSION_1, abs=1e-5)


def test_labels_move_between_two_requests(server):
    assert server.probability(label="stable") == pytest.approx(VERSION_1, abs=1e-5)
    server.reload(ALL, {"stable": 2, "canary": 1})
    assert server.probability(label="stable") == pytest.approx(VERSION_2, abs=1e-5)
    assert server.probability(label="canary") == pytest.approx(VERSION_1, abs=1e-5)


def test_a_label_taken_away_is_unknown(server):
    server.reload(ALL, {"stable": 1})
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(label="canary")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Unrecognized servable version label: canary" in caught.value.details()


def test_a_label_on_a_version_that_does_not_serve_is_refused_and_changes_no_label(server):
    with pytest.raises(grpc.RpcError) as caught:
        server.reload(ALL, LABELS | {"stable": 99})
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "99" in caught.value.details()
    assert "not currently available" in caught.value.details()
    assert server.probability(label="stable") == pytest.approx(VERSION_1, abs=1e-5)
    assert server.probability(label="canary") == pytest.approx(VERSION_2, abs=1e-5)


def test_latest_keeps_the_newest_only(server):
    server.reload("latest { num_versions: 1 }", {})
    eventually(lambda: server.states()[1] == "END", "version 1 is unloaded")
    assert server.probability() == pytest.approx(VERSION_2, abs=1e-5)
    server.reload("latest { num_versions: 2 }", {})
    eventually(lambda: server.states()[1] == "AVAILABLE", "version 1 is back")
    assert server.probability(version=1) == pytest.approx(VERSION_1, abs=1e-5)
