"""Limits of the local server: how much waits, how large and how long a request may be."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)
ROW = '{"signature_name": "rgb", "instances": [{"b64": "AAAA"}]}'


def request_of(images):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "brain_tumor"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
    return request


@contextmanager
def stub_of(address):
    with grpc.insecure_channel(address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def narrow_server(serve, tiny_models, tmp_path_factory):
    """One thread and one place in the queue on each port; a request holds them for ten seconds."""
    parameters = tmp_path_factory.mktemp("config") / "batching.config"
    parameters.write_text("max_batch_size { value: 8 } batch_timeout_micros { value: 10000000 }")
    flags = ("--enable-batching", "--batching-parameters-file", str(parameters))
    flags += ("--grpc_max_threads", "1", "--rest_api_num_threads", "1")
    flags += ("--max_queued_requests", "1", "--rest_api_timeout_in_ms", "4000")
    flags += ("--max_request_bytes", "200000", "--grace_seconds", "1")
    with serve(tiny_models, *flags) as server:
        yield server


def test_grpc_beyond_the_queue_is_resource_exhausted(narrow_server):
    with stub_of(narrow_server.grpc) as stub, ThreadPoolExecutor(4) as pool:

        def ask(_):
            try:
                stub.Predict(request_of(IMAGE), timeout=60)
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

        codes = list(pool.map(ask, range(4)))
    # One runs, one waits for its thread, and is run after the first.
    assert sorted(codes) == ["OK", "OK", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]


def test_rest_beyond_the_queue_is_429_and_too_slow_is_504(narrow_server):
    url = f"{narrow_server.rest}/v1/models/brain_tumor:predict"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: requests.post(url, ROW, timeout=60), range(4)))
    assert sorted(answer.status_code for answer in answers) == [429, 429, 504, 504]
    errors = {answer.status_code: answer.json()["error"] for answer in answers}
    assert errors[429] == "The server is busy; try again shortly"
    assert errors[504]


def test_requests_larger_than_the_limit_are_refused_on_both_ports(narrow_server):
    """Those of the tests above, of one image each, are within it."""
    with (
        stub_of(narrow_server.grpc) as stub,
        pytest.raises(grpc.RpcError, match="larger than max") as caught,
    ):
        stub.Predict(request_of(np.repeat(IMAGE, 2, axis=0)), timeout=60)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    url = f"{narrow_server.rest}/v1/models/brain_tumor:predict"
    answer = requests.post(url, b" " * 200_001, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The body is larger than 0.19")


def test_metrics_are_shown_only_where_configured(tiny_server):
    url = f"{tiny_server.rest}/monitoring/prometheus/metrics"
    assert requests.get(url, timeout=60).status_code == 404
