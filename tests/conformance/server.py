"""A server under test, known by its addresses alone."""

from pathlib import Path

import grpc
import numpy as np
import requests
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.conftest import eventually

MODEL = "brain_tumor"
GREY = np.full((2, 224, 224, 3), 128, np.uint8)
ALL = "all {}"
LABELS = {"stable": 1, "canary": 2}
TIMEOUT_S = 120


class Server:
    """TensorFlow Serving's API, called as any program calls it: official stubs, plain HTTP."""

    def __init__(
        self, channel: grpc.Channel, rest: str, base_path: Path, *, external: bool
    ) -> None:
        self.base_path, self.external = base_path, external
        self.channel = channel
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._rest = rest
        self._restored = False

    def http(self, method: str, path: str, body: str | bytes | None = None, headers=None):
        url = f"http://{self._rest}{path}"
        data = body.encode() if isinstance(body, str) else body
        return requests.request(method, url, data=data, headers=headers, timeout=TIMEOUT_S)

    def predict(self, *, images=GREY, **spec) -> predict_pb2.PredictResponse:
        return self.prediction.Predict(predict_request({"images": images}, **spec), TIMEOUT_S)

    def probability(self, **spec) -> float:
        """Of a grey image."""
        return float(tf.make_ndarray(self.predict(**spec).outputs["probability"])[0])

    def states(self) -> dict[int, str]:
        """By version, as GetModelStatus tells them."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = MODEL
        answer = self.models.GetModelStatus(request, TIMEOUT_S, wait_for_ready=True)
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        return {row.version: name(row.state) for row in answer.model_version_status}

    def reload(self, policy: str, labels: dict[str, int]) -> None:
        """Ask for another version policy (text of ServableVersionPolicy) and other labels."""
        self._restored = False
        request = model_management_pb2.ReloadConfigRequest()
        config = request.config.model_config_list.config.add(
            name=MODEL, base_path=str(self.base_path), model_platform="tensorflow"
        )
        text_format.Parse(policy, config.model_version_policy)
        for label, version in labels.items():
            config.version_labels[label] = version
        self.models.HandleReloadConfigRequest(request, TIMEOUT_S)

    def restore(self) -> None:
        """The configuration of the recording; labels only once both versions serve."""
        if self._restored:
            return
        self.states()  # waits for the server itself
        self.reload(ALL, {})
        both = {1: "AVAILABLE", 2: "AVAILABLE"}
        eventually(lambda: both.items() <= self.states().items(), "versions 1 and 2 serve")
        self.reload(ALL, LABELS)
        self._restored = True


def predict_request(
    inputs: dict[str, object],
    *,
    name: str = MODEL,
    version: int | None = None,
    label: str = "",
    signature: str = "",
    output_filter: tuple[str, ...] = (),
) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request
