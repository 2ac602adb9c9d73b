"""The client against real servers, good and bad."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import grpc
import numpy as np
import pytest

from serving.client import Client
from serving.contract import SIGNATURES
from serving.errors import (
    ContractError,
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)
from serving.tensors import write_tensor
from serving.wire import messages_pb2 as wire
from serving.wire.methods import PREDICT

IMAGES = np.stack([np.full((224, 224, 3), level, np.uint8) for level in (10, 128, 210)])


@pytest.fixture(params=["grpc", "rest"])
def client(request, tiny_server):
    with Client(getattr(tiny_server, request.param)) as client:
        yield client


def test_predictions_are_those_of_the_model_in_order(client):
    answer = client.predict(IMAGES)
    assert answer.version == 1
    assert [p.probability for p in answer.predictions] == pytest.approx(
        [10 / 255, 128 / 255, 210 / 255], abs=1e-6
    )
    assert [p.label for p in answer.predictions] == ["no_tumor", "tumor", "tumor"]
    assert [p.risk for p in answer.predictions] == ["low", "medium", "high"]
    assert all(p.in_distribution for p in answer.predictions)
    assert answer.predictions[0].heatmap is None


def test_explain_adds_a_heatmap_of_each_image(client):
    answer = client.explain(IMAGES[:2])
    assert answer.predictions[1].heatmap.shape == (7, 7)
    assert answer.predictions[1].heatmap == pytest.approx(128 / 255, abs=1e-6)
    assert answer.predictions[0].probability == pytest.approx(10 / 255, abs=1e-6)


def test_both_ways_give_the_same_float(tiny_server):
    with Client(tiny_server.grpc) as one, Client(tiny_server.rest) as other:
        a, b = one.predict(IMAGES), other.predict(IMAGES)
    assert [p.probability for p in a.predictions] == [p.probability for p in b.predictions]


def test_card_thresholds_status_and_metadata(client):
    assert client.card()["version"] == 1
    assert client.thresholds(1).high == 0.8
    assert client.status() == {1: "AVAILABLE"}
    metadata = client.metadata()
    assert metadata.version == 1
    assert set(metadata.signatures) == set(SIGNATURES)
    for name, signature in SIGNATURES.items():
        assert metadata.signatures[name].inputs == signature.inputs
        assert set(metadata.signatures[name].outputs) == set(signature.outputs)
    assert metadata.signatures["serving_default"] == SIGNATURES["serving_default"]


@pytest.mark.parametrize(
    "images",
    [
        IMAGES.astype(np.float32),
        IMAGES[0],
        IMAGES[:, :100],
        IMAGES[:0],
    ],
)
def test_a_wrong_array_is_refused_before_it_is_sent(images):
    with (
        Client("127.0.0.1:1") as client,
        pytest.raises(ValueError, match="images must"),
    ):
        client.predict(images)


@pytest.mark.parametrize("address", ["localhost", "ftp://host:1", "host:", ":8500", "host:http"])
def test_an_address_that_is_none_says_what_one_is(address):
    with pytest.raises(ValueError, match="Give HOST:PORT for gRPC or http://HOST:PORT for REST"):
        Client(address)


def test_unknown_version_and_model(client, tiny_server):
    with pytest.raises(ModelNotFound, match="does not serve this brain_tumor"):
        client.predict(IMAGES[:1], version=99)
    for address in (tiny_server.grpc, tiny_server.rest):
        with Client(address, model="liver") as other, pytest.raises(ModelNotFound):
            other.predict(IMAGES[:1])


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_nobody_listens(free_port, scheme):
    port = free_port()
    with Client(f"{scheme}127.0.0.1:{port}") as client:
        with pytest.raises(ServerUnavailable, match="python -m serving run"):
            client.predict(IMAGES[:1])
        with pytest.raises(ServerUnavailable):
            client.status()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_server_that_hangs_costs_no_more_than_the_deadline(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
        before = threading.active_count()
        with Client(address, timeout_s=0.5) as client:
            begin = time.monotonic()
            with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.5 s"):
                client.predict(IMAGES[:1])
            assert time.monotonic() - begin < 2
        assert threading.active_count() <= before + 1


@pytest.fixture
def scripted_grpc():
    """A real gRPC server whose Predict does what the test says."""
    servers = []

    def start(behaviour):
        server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=wire.PredictRequest.FromString,
            response_serializer=wire.PredictResponse.SerializeToString,
        )
        service, method = PREDICT.strip("/").split("/")
        server.add_registered_method_handlers(service, {method: handler})
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {method: handler})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


def good_outputs(n=1):
    texts = lambda text: np.array([text] * n, object)  # noqa: E731
    return {
        "probability": np.full(n, 0.7, np.float32),
        "label": texts(b"tumor"),
        "risk": texts(b"medium"),
        "in_distribution": np.ones(n, np.bool_),
        "ood_score": np.zeros(n, np.float32),
    }


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
        (good_outputs(2), "2 results for 1 images"),
    ],
)
def test_an_answer_outside_the_contract_is_never_a_diagnosis(scripted_grpc, wrong, message):
    def behave(_request, _context):
        response = wire.PredictResponse()
        outputs = {"version": 1} | good_outputs() | wrong
        response.model_spec.version.value = outputs.pop("version")
        for name, array in outputs.items():
            if array is not None:
                write_tensor(array, response.outputs[name])
        return response

    with Client(scripted_grpc(behave)) as client:
        if message is None:
            assert client.predict(IMAGES[:1]).predictions[0].label == "tumor"
            return
        with pytest.raises(ContractError, match=message):
            client.predict(IMAGES[:1])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ServerOverloaded),
        (grpc.StatusCode.UNAVAILABLE, ServerUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.NOT_FOUND, ModelNotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, RequestRejected),
        (grpc.StatusCode.INTERNAL, ContractError),
    ],
)
def test_each_status_has_its_error(scripted_grpc, code, kind):
    with (
        Client(scripted_grpc(lambda _request, context: context.abort(code, "why"))) as client,
        pytest.raises(kind) as caught,
    ):
        client.predict(IMAGES[:1])
    assert type(caught.value) is kind
    assert isinstance(caught.value, ServingError)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", ContractError),
        (200, b'{"outputs": {}}', ContractError),
        (200, b"[1]", ContractError),
        (302, b"", ContractError),
        (400, b'{"error": "bad"}', RequestRejected),
        (404, b'{"error": "none"}', ModelNotFound),
        (429, b"", ServerOverloaded),
        (500, b"oops", ContractError),
        (503, b"", ServerOverloaded),
        (504, b"", DeadlineExceeded),
    ],
)
def test_each_http_answer_has_its_error(status, body, kind):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with (
                Client(f"http://127.0.0.1:{server.server_port}") as client,
                pytest.raises(kind) as caught,
            ):
                client.predict(IMAGES[:1], version=1)
            assert type(caught.value) is kind
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def scripted_rest():
    """A real HTTP server that is always in state AVAILABLE and predicts what the test says.

    It waits `delay_s` before each answer, and `drip_s` before each byte of a prediction.
    """
    servers = []

    def start(outputs, *, delay_s=0.0, drip_s=0.0):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                rows = [{"version": "1", "state": "AVAILABLE", "status": {}}]
                self.answer({"model_version_status": rows}, 0.0)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer({"outputs": outputs}, drip_s)

            def answer(self, content, pause_s):
                time.sleep(delay_s)
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # the client has gone
                    for part in [body[i : i + 1] for i in range(len(body))] if pause_s else [body]:
                        time.sleep(pause_s)
                        self.wfile.write(part)

            def log_message(self, *_args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


GOOD_JSON = {
    "probability": [0.7],
    "label": ["tumor"],
    "risk": ["medium"],
    "in_distribution": [True],
    "ood_score": [0.1],
    "error": [""],
}


@pytest.mark.parametrize(
    ("wrong", "kind"),
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
def test_json_of_another_type_is_never_read_as_a_diagnosis(scripted_rest, wrong, kind):
    with Client(scripted_rest(GOOD_JSON | wrong)) as client:
        if kind is None:
            assert client.predict(IMAGES[:1]).predictions[0].label == "tumor"
            return
        with pytest.raises(kind):
            client.predict(IMAGES[:1])


def test_a_heatmap_outside_its_range_is_refused(scripted_rest):
    for level in (-0.1, 7.5):
        with (
            Client(scripted_rest(GOOD_JSON | {"heatmap": [[[level]]]})) as client,
            pytest.raises(ContractError, match=r"heatmap outside 0\.\.1"),
        ):
            client.explain(IMAGES[:1])


@pytest.mark.parametrize("pace", [{"delay_s": 0.4}, {"drip_s": 0.1}])
def test_the_deadline_is_for_the_whole_call_however_the_server_dawdles(scripted_rest, pace):
    with Client(scripted_rest(GOOD_JSON, **pace), timeout_s=0.6) as client:
        begin = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            client.predict(IMAGES[:1])
        assert time.monotonic() - begin < 1.5


def test_the_client_imports_no_tensorflow():
    code = "import sys, serving.client; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_command_line_answers_good_files_and_names_bad_ones(tiny_server, samples, tmp_path):
    bad = tmp_path / "letter.png"
    bad.write_text("Dear colleague")
    command = [sys.executable, "-m", "serving", "predict", "--server", tiny_server.grpc, "--json"]
    files = [str(samples["yes"][0]), str(bad), str(samples["no"][0])]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    rows = json.loads(done.stdout)
    assert [row["file"] for row in rows] == files
    assert "This is not a PNG, JPEG or WebP image" in rows[1]["error"]
    assert {"label", "probability", "confidence", "risk", "version"} <= set(rows[0])
    assert rows[2]["version"] == 1


def test_command_line_prints_any_file_name_as_it_is(tiny_server, samples, tmp_path):
    scan = tmp_path / "[bold]a[" / "b].jpg"  # a path that rich would take for markup
    scan.parent.mkdir()
    scan.write_bytes(samples["yes"][0].read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "serving", "predict", "--server", tiny_server.grpc, str(scan)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "300"},
    )
    assert done.returncode == 0, done.stderr
    assert str(scan) in done.stdout


def test_command_line_says_in_one_line_that_nobody_listens(free_port, samples):
    command = [sys.executable, "-m", "serving", "predict", "--server", f"127.0.0.1:{free_port()}"]
    done = subprocess.run(
        [*command, str(samples["yes"][0])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("python -m serving: No model server answers at 127.0.0.1:")
    assert "Traceback" not in done.stderr
