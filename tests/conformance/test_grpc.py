"""Every recorded gRPC exchange, good and bad, sent again through the official stubs."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.conformance import recorded
from tests.conformance.recorded_model import BIASES, RGB_BYTES
from tests.conformance.server import GREY, MODEL, TIMEOUT_S, predict_request

IMAGES = {"images": GREY}


def short_content():
    request = predict_request(IMAGES)
    request.inputs["images"].tensor_content = bytes(100)
    return request


#: The recording describes these in words.
PREDICT = {
    "predict": lambda: predict_request(IMAGES),
    "predict, explain with output_filter": lambda: predict_request(
        IMAGES, signature="explain", output_filter=("heatmap", "probability")
    ),
    "predict, version 1": lambda: predict_request(IMAGES, version=1),
    "predict, label stable": lambda: predict_request(IMAGES, label="stable"),
    "predict, bytes signature": lambda: predict_request(
        {"rgb_bytes": [bytes([128]) * RGB_BYTES]}, signature="rgb"
    ),
    "output_filter with an unknown output": lambda: predict_request(
        IMAGES, output_filter=("nope",)
    ),
    "unknown model": lambda: predict_request(IMAGES, name="nope"),
    "empty model name": lambda: predict_request(IMAGES, name=""),
    "unknown version": lambda: predict_request(IMAGES, version=99),
    "unknown label": lambda: predict_request(IMAGES, label="nope"),
    "unknown signature": lambda: predict_request(IMAGES, signature="nope"),
    "missing input": lambda: predict_request({}),
    "extra input name": lambda: predict_request({"nope": GREY}),
    "wrong shape": lambda: predict_request({"images": np.zeros((1, 10, 10, 3), np.uint8)}),
    "wrong dtype": lambda: predict_request({"images": GREY.astype(np.float32)}),
    "zero rows": lambda: predict_request({"images": GREY[:0]}),
    "tensor_content shorter than the shape": short_content,
}


def call(server, exchange):
    """Send the request of an exchange."""
    name, request = exchange["name"], exchange["request"]
    if name in PREDICT:
        return server.prediction.Predict(PREDICT[name](), TIMEOUT_S)
    stub, method, kind = {
        "metadata": (
            server.prediction,
            "GetModelMetadata",
            get_model_metadata_pb2.GetModelMetadataRequest,
        ),
        "status": (server.models, "GetModelStatus", get_model_status_pb2.GetModelStatusRequest),
        "classify": (server.prediction, "Classify", classification_pb2.ClassificationRequest),
        "regress": (server.prediction, "Regress", regression_pb2.RegressionRequest),
    }[name.split()[0]]
    return getattr(stub, method)(json_format.ParseDict(request, kind()), TIMEOUT_S)


@pytest.mark.parametrize("exchange", recorded.exchanges("gRPC"))
def test_grpc_answers_as_recorded(server, exchange):
    answer, code, details = outcome(server, exchange)
    if exchange["name"] in recorded.MAY_REFUSE and code == "INVALID_ARGUMENT":
        assert details
        return
    assert code == exchange["code"], details
    if answer is None:
        assert recorded.same_sense(details, exchange["details"]), details
        return
    if isinstance(answer, predict_pb2.PredictResponse):
        assert_same_prediction(answer, exchange["response"])
        return
    found = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    if "model_version_status" in found:
        rows = found["model_version_status"]
        found["model_version_status"] = [row for row in rows if int(row["version"]) in BIASES]
    assert recorded.same_value(found, exchange["response"]), found


def outcome(server, exchange):
    """The answer or None, the code, the details."""
    try:
        return call(server, exchange), "OK", ""
    except grpc.RpcError as error:
        return None, error.code().name, error.details()


def assert_same_prediction(answer, recorded_response):
    expected = json_format.ParseDict(recorded_response, predict_pb2.PredictResponse())
    assert answer.model_spec == expected.model_spec
    assert answer.outputs.keys() == expected.outputs.keys()
    for name, tensor in expected.outputs.items():
        found = answer.outputs[name]
        assert (found.dtype, found.tensor_shape) == (tensor.dtype, tensor.tensor_shape), name
        if tensor.dtype == tf.float32.as_datatype_enum:
            # Where other programs look for it: not in tensor_content.
            assert list(found.float_val) == pytest.approx(list(tensor.float_val), abs=1e-5), name
        else:
            assert found == tensor, name


def test_bytes_of_a_wrong_type_of_message_are_an_error(server):
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff\xff\xff", timeout=TIMEOUT_S)
    assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


def test_values_one_by_one_are_read_like_tensor_content(server):
    request = predict_request({"images": GREY[:1]})
    tensor = request.inputs["images"]
    tensor.ClearField("tensor_content")
    tensor.int_val[:] = [128]  # missing values repeat the last
    answer = server.prediction.Predict(request, TIMEOUT_S)
    assert answer.outputs["probability"].float_val[0] == pytest.approx(0.564106, abs=1e-5)


def test_multi_inference_is_refused_in_words(server):
    request = inference_pb2.MultiInferenceRequest()
    task = request.tasks.add(method_name="tensorflow/serving/classify")
    task.model_spec.name = MODEL
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.MultiInference(request, TIMEOUT_S)
    # TensorFlow Serving has it, but the model has no signature for it.
    allowed = {"UNIMPLEMENTED", "INVALID_ARGUMENT", "FAILED_PRECONDITION"}
    assert caught.value.code().name in allowed
    assert caught.value.details()


def test_the_standard_health_service(server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(), TIMEOUT_S)
    except grpc.RpcError as error:
        if server.external and error.code() is grpc.StatusCode.UNIMPLEMENTED:
            pytest.skip("TensorFlow Serving needs --enable_grpc_healthcheck_service=true")
        raise
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="nope"), TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
