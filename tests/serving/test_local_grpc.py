"""The local server over gRPC: official answers, TensorFlow Serving's own texts."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def stub(tiny_server):
    """The official stub, as any other program uses it."""
    with grpc.insecure_channel(tiny_server.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict_request(**spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = spec.get("name", "brain_tumor")
    request.model_spec.signature_name = spec.get("signature", "")
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE))
    return request


def test_official_stubs_get_an_official_answer(stub):
    response = stub.Predict(predict_request(), timeout=60)
    assert tf.make_ndarray(response.outputs["probability"]) == pytest.approx(128 / 255)
    assert tf.make_ndarray(response.outputs["label"]).tolist() == [b"tumor"]
    assert response.model_spec.version.value == 1
    # Programs that read the fields themselves must find them where TensorFlow Serving puts them.
    assert list(response.outputs["probability"].float_val) == pytest.approx([128 / 255])
    assert list(response.outputs["in_distribution"].bool_val) == [True]
    assert response.outputs["probability"].tensor_content == b""


def without_inputs(request):
    request.inputs.clear()


def renamed_input(request):
    request.inputs["nope"].CopyFrom(request.inputs["images"])
    del request.inputs["images"]


def as_float(request):
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE.astype(np.float32)))


def small(request):
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGE[:, :10, :10]))


def out_of_range(request):
    request.inputs["images"].ClearField("tensor_content")
    request.inputs["images"].int_val.append(256)


def short(request):
    request.inputs["images"].tensor_content = b"\0" * 100


def with_another_input(request):
    request.inputs["bomb"].dtype = 99  # would not be parsed, were it looked at


def filtered(request):
    request.output_filter.append("nope")


# Codes and texts as recorded from TensorFlow Serving 2.20, but for "small": it answered that with a
# diagnosis, since its model did not check.
@pytest.mark.parametrize(
    ("change", "spec", "code", "details"),
    [
        (None, {"name": "nope"}, "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (None, {"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            None,
            {"version": 99},
            "NOT_FOUND",
            "Servable not found for request: Specific(brain_tumor, 99)",
        ),
        (
            None,
            {"signature": "nope"},
            "FAILED_PRECONDITION",
            'Serving signature key "nope" not found.',
        ),
        (
            without_inputs,
            {},
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({images}). "
            "Sent extra: {}. Missing but required: {images}.",
        ),
        (
            renamed_input,
            {},
            "INVALID_ARGUMENT",
            "Signature input alias: images(feed name: serving_default_images:0) not found in request "
            "and no default value provided. Inputs expected to be in the request {nope}, "
            "or default input alias set: ",
        ),
        (
            with_another_input,
            {},
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({bomb,images}) != len({images}). "
            "Sent extra: {bomb}. Missing but required: {}.",
        ),
        (as_float, {}, "INVALID_ARGUMENT", "Expects arg[0] to be uint8 but float is provided"),
        (short, {}, "INVALID_ARGUMENT", "tensor parsing error: images"),
        (out_of_range, {}, "INVALID_ARGUMENT", "tensor parsing error: images"),
        (
            filtered,
            {},
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: nope Outputs expected to be in the set "
            "{in_distribution,label,ood_score,probability,risk}.",
        ),
        (
            small,
            {},
            "INVALID_ARGUMENT",
            "Shape of tensor images [1,10,10,3] is not compatible with expected shape [?,224,224,3].",
        ),
    ],
)
def test_grpc_errors_have_tensorflow_servings_words(stub, change, spec, code, details):
    request = predict_request(**spec)
    if change:
        change(request)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, timeout=60)
    assert (caught.value.code().name, caught.value.details()) == (code, details)


def test_metadata_and_status_through_official_stubs(stub, tiny_server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "brain_tumor"
    response = stub.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "explain", "rgb", "card"} <= set(signatures.signature_def)
    request.metadata_field[:] = []
    with pytest.raises(grpc.RpcError, match="must specify at least one metadata_field"):
        stub.GetModelMetadata(request, timeout=60)
    with grpc.insecure_channel(tiny_server.grpc) as channel:
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
            get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec), timeout=60
        )
    assert [(row.version, row.state) for row in status.model_version_status] == [(1, 30)]
