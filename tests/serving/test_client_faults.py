"""Both clients against servers that fail, dawdle and lie."""

import json
import socket
import threading
from contextlib import suppress

import grpc
import numpy as np
import pytest

from serving.contract import SIGNATURES
from serving.errors import (
    CallCancelled,
    ContractError,
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)
from serving.wire.methods import PREDICT
from tests.conftest import eventually
from tests.serving.scripted import (
    SCRIPTED,
    Script,
    good_json,
    good_outputs,
    http_server,
    metadata_json,
    open_client,
    predict_response,
    raw_grpc_server,
)

IMAGE = np.zeros((1, 224, 224, 3), np.uint8)
UNAVAILABLE = {"grpc": grpc.StatusCode.UNAVAILABLE, "rest": 503}
BUSY = {"grpc": grpc.StatusCode.RESOURCE_EXHAUSTED, "rest": 429}


def says(outputs, **pace):
    """An HTTP server whose version 1 is good and predicts this."""

    def answer(path, _body):
        content = {"outputs": outputs}
        if path.endswith("/metadata"):
            content = metadata_json(1, SIGNATURES)
        return 200, json.dumps(content).encode()

    return http_server(answer, **pace)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, None),
        ({"probability": np.array([np.nan], np.float32)}, "outside 0..1"),
        ({"probability": np.array([1.5], np.float32)}, "outside 0..1"),
        ({"probability": np.array([0.7], np.float64)}, "valid probability"),
        ({"probability": np.array([[0.7]], np.float32)}, "valid probability"),
        ({"ood_score": np.array([np.inf], np.float32)}, "no result can be read"),
        ({"label": np.array([b"meningioma"], object)}, "unknown label"),
        ({"risk": np.array([b"extreme"], object)}, "unknown label or risk"),
        ({"label": None}, "valid label"),
        ({"version": 0}, "which version answered"),
        ({"version": 2}, "Another version answered"),
        (good_outputs(2), "2 results for 1 images"),
    ],
)
def test_an_answer_outside_the_contract_is_never_a_diagnosis(kind, wrong, message):
    def behave(_request, _context):
        outputs = {"version": 1} | good_outputs() | wrong
        version = outputs.pop("version")
        return predict_response(
            version, {name: array for name, array in outputs.items() if array is not None}
        )

    with raw_grpc_server({PREDICT: behave}) as address, open_client(kind, address) as client:
        if message is None:
            assert client.predict(IMAGE).predictions[0].label == "tumor"
            return
        with pytest.raises(ContractError, match=message):
            client.predict(IMAGE)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ServerOverloaded),
        (grpc.StatusCode.UNAVAILABLE, ServerUnavailable),
        (grpc.StatusCode.CANCELLED, CallCancelled),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.NOT_FOUND, ModelNotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, RequestRejected),
        (grpc.StatusCode.INTERNAL, ContractError),
    ],
)
def test_each_grpc_status_has_its_error(kind, code, error):
    asked = []

    def behave(_request, context):
        asked.append(code)
        context.abort(code, "why")

    with (
        raw_grpc_server({PREDICT: behave}) as address,
        open_client(kind, address, retries=2) as client,
        pytest.raises(error) as caught,
    ):
        client.predict(IMAGE, version=1)
    assert type(caught.value) is error
    assert isinstance(caught.value, ServingError)
    assert len(asked) == (3 if error is ServerUnavailable else 1)
    if error is ServerUnavailable:
        assert "cannot answer now: why" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", ContractError),
        (200, b'{"outputs": {}}', ContractError),
        (200, b"[1]", ContractError),
        (200, b"[" * 100_000, ContractError),
        (302, b"", ContractError),
        (400, b'{"error": "bad"}', RequestRejected),
        (400, b'{"error": "Unrecognized servable version label: x"}', ModelNotFound),
        (404, b'{"error": "none"}', ModelNotFound),
        (429, b"", ServerOverloaded),
        (499, b"", CallCancelled),
        (500, b"oops", ContractError),
        (503, b"", ServerUnavailable),
        (504, b"", DeadlineExceeded),
    ],
)
def test_each_http_status_has_its_error(kind, status, body, error):
    asked = []

    def answer(path, _body):
        if path.endswith("/metadata"):
            return 200, json.dumps(metadata_json(1, SIGNATURES)).encode()
        asked.append(path)
        return status, body

    with (
        http_server(answer) as address,
        open_client(kind, address, retries=2) as client,
        pytest.raises(error) as caught,
    ):
        client.predict(IMAGE, version=1)
    assert type(caught.value) is error
    assert len(asked) == (3 if error is ServerUnavailable else 1)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({}, None),
        ({"probability": [True]}, ContractError),
        ({"probability": ["0.5"]}, ContractError),
        ({"probability": [None]}, ContractError),
        ({"probability": [1e39]}, ContractError),
        ({"probability": 0.7}, ContractError),
        ({"probability": [10**400]}, ContractError),
        ({"in_distribution": ["false"]}, ContractError),
        ({"in_distribution": [0.3]}, ContractError),
        ({"label": [5]}, ContractError),
        ({"label": "tumor"}, ContractError),
        ({"error": [{"b64": "/w=="}]}, RequestRejected),
        ({"error": ["3 bytes; 150528 are needed"]}, RequestRejected),
    ],
)
def test_json_of_another_type_is_never_read_as_a_diagnosis(wrong, error):
    with says(good_json() | wrong) as address, open_client("sync", address) as client:
        if error is None:
            assert client.predict(IMAGE).predictions[0].label == "tumor"
            return
        with pytest.raises(error):
            client.predict(IMAGE)


@pytest.mark.parametrize("level", [-0.1, 7.5])
def test_a_heatmap_outside_its_range_is_refused(level):
    with (
        says(good_json() | {"heatmap": [[[level]]]}) as address,
        open_client("sync", address) as client,
        pytest.raises(ContractError, match=r"heatmap outside 0\.\.1"),
    ):
        client.explain(IMAGE)


@pytest.mark.parametrize(
    "pace", [{"delay_s": 0.4}, {"drip_s": 0.1}, {"drip_s": 0.1, "drip": "headers"}]
)
def test_the_deadline_is_for_the_whole_call_however_the_server_dawdles(kind, pace):
    """No pause is as long as the deadline, and the answer would be good if one waited for its end."""
    with (
        says(good_json(), **pace) as address,
        open_client(kind, address, timeout_s=0.6) as client,
        pytest.raises(DeadlineExceeded),
    ):
        client.predict(IMAGE)


def test_no_time_at_all_is_a_deadline_too(kind, way):
    with SCRIPTED[way](Script()) as address, open_client(kind, address) as client:
        for _ in range(2):  # before there is a connection, and with one
            with pytest.raises(DeadlineExceeded):
                client.predict(IMAGE, timeout_s=0)
            client.predict(IMAGE)


def test_a_host_is_found_under_whichever_of_its_addresses_answers(kind):
    """localhost often is ::1 and 127.0.0.1, of which the server has the second."""
    with SCRIPTED["rest"](Script()) as address:
        named = address.replace("127.0.0.1", "localhost")
        with open_client(kind, named) as client:
            assert client.predict(IMAGE).version == 1
    with (
        open_client(kind, "http://no-such-host.invalid:1", retries=0) as client,
        pytest.raises(ServerUnavailable),
    ):
        client.predict(IMAGE)


def test_the_deadline_holds_while_the_server_does_not_read(kind):
    """The request is larger than what the system's buffers take."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_the_metadata_alone():
            connection, _ = listener.accept()
            with connection:
                connection.recv(2**16)
                body = json.dumps(metadata_json(1, SIGNATURES)).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                connection.sendall(body)
                done.wait(60)

        done = threading.Event()
        thread = threading.Thread(target=answer_the_metadata_alone)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with (
                open_client(kind, address, timeout_s=1.0) as client,
                pytest.raises(DeadlineExceeded),
            ):
                client.predict(np.repeat(IMAGE, 32, axis=0))
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    "speech",
    [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"],
)
def test_what_is_no_http_is_no_answer(kind, speech):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak():
            connection, _ = listener.accept()
            with connection:
                connection.recv(2**16)
                connection.sendall(speech)

        thread = threading.Thread(target=speak)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            open_client(kind, address) as client,
            pytest.raises(ContractError, match="no valid HTTP"),
        ):
            client.status()
        thread.join()


@pytest.mark.parametrize("speech", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"])
def test_a_connection_that_breaks_is_made_again(kind, speech):
    """The first one ends before or within its answer, the second brings one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        body = b'{"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}'
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

        def speak():
            for part in (speech, whole):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(2**16)
                    connection.sendall(part)

        thread = threading.Thread(target=speak)
        thread.start()
        with open_client(kind, f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            assert client.status() == {1: "AVAILABLE"}
        thread.join()


def test_an_unavailable_server_is_asked_again_until_it_answers(kind, way):
    script = Script(on_predict=lambda number: UNAVAILABLE[way] if number < 2 else None)
    with SCRIPTED[way](script) as address, open_client(kind, address) as client:
        assert client.predict(IMAGE).version == 1
    assert script.seen == ["metadata newest", *["predict 1"] * 3]


def test_retries_are_bounded_in_number(kind, way):
    script = Script(on_predict=lambda _number: UNAVAILABLE[way])
    with (
        SCRIPTED[way](script) as address,
        open_client(kind, address, retries=1) as client,
        pytest.raises(ServerUnavailable, match="cannot answer now: as told"),
    ):
        client.predict(IMAGE)
    assert script.seen.count("predict 1") == 2


def test_a_retry_that_would_end_after_the_deadline_is_not_waited_for(monkeypatch, kind, way):
    monkeypatch.setattr("serving.dialogue.FIRST_PAUSE_S", 10_000.0)
    script = Script(on_predict=lambda _number: UNAVAILABLE[way])
    with (
        SCRIPTED[way](script) as address,
        open_client(kind, address) as client,
        pytest.raises(ServerUnavailable, match="as told"),
    ):
        client.predict(IMAGE, timeout_s=1000)
    assert script.seen.count("predict 1") == 1


def test_nothing_but_unavailability_is_retried(kind, way):
    script = Script(on_predict=lambda _number: BUSY[way])
    with (
        SCRIPTED[way](script) as address,
        open_client(kind, address) as client,
        pytest.raises(ServerOverloaded),
    ):
        client.predict(IMAGE)
    assert script.seen.count("predict 1") == 1


def test_a_server_that_comes_back_is_found_by_the_same_client(kind, way, free_port):
    scheme, port = {"grpc": "", "rest": "http://"}[way], free_port()
    with open_client(kind, f"{scheme}127.0.0.1:{port}", retries=0) as client:
        with pytest.raises(ServerUnavailable):
            client.predict(IMAGE)
        with SCRIPTED[way](Script(), port):

            def answers():
                with suppress(ServerUnavailable):
                    return client.predict(IMAGE).version == 1

            eventually(answers, "the server that came back is found")
