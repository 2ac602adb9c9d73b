"""However many scans are asked about, whatever becomes of versions meanwhile: one answer each, in order."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import IMAGE_SHAPE, SIGNATURES
from serving.dialogue import MAX_IMAGES, Dialogues
from serving.errors import ModelNotFound
from serving.grpc_transport import GrpcCodec
from serving.tensors import read_tensor
from serving.transport import Call, Server
from serving.wire import messages_pb2 as wire
from serving.wire.methods import PREDICT
from tests.properties.bounds import bounded
from tests.serving.scripted import good_outputs, metadata_response, predict_response


class _Versions:
    """A server's side of a dialogue, in its own bytes: the newest version changes as planned."""

    def __init__(self, newest: list[int]) -> None:
        self._newest = newest
        self.sizes: list[int] = []

    def answer(self, call: Call[Any]) -> bytes:
        asked = (wire.PredictRequest if call.path == PREDICT else wire.GetModelMetadataRequest)()
        asked.ParseFromString(call.body)
        newest = self._newest.pop(0) if len(self._newest) > 1 else self._newest[0]
        version = asked.model_spec.version.value or newest
        if version < newest - 1:  # the last but one is still served
            raise ModelNotFound("gone")
        if call.path != PREDICT:
            return metadata_response(version, SIGNATURES).SerializeToString()
        images = read_tensor(asked.inputs["images"])
        self.sizes.append(len(images))
        outputs = good_outputs(len(images))
        outputs["probability"] = images[:, 0, 0, 0] / np.float32(255)
        outputs["ood_score"] = np.full(len(images), version, np.float32)
        return predict_response(version, outputs).SerializeToString()


@bounded(30)
@given(
    st.integers(1, 3 * MAX_IMAGES + 1),
    st.lists(st.integers(0, 1), max_size=4),
    st.integers(0, 255),
)
def test_each_scan_gets_its_answer_from_one_version(n: int, steps: list[int], first: int) -> None:
    images = np.zeros((n, *IMAGE_SHAPE), np.uint8)
    marks = (first + np.arange(n)) % 256
    images[:, 0, 0, 0] = marks
    newest = np.cumsum([1, *steps]).tolist()
    server = _Versions(newest)
    asking = Dialogues(GrpcCodec(Server("server:8500", "brain_tumor")), 0).predict(images, None)
    try:
        step = next(asking)
        while True:
            try:
                reply = server.answer(step)
            except ModelNotFound as error:
                step = asking.throw(error)
            else:
                step = asking.send(reply)
    except StopIteration as end:
        answer = end.value
    assert [round(one.probability * 255) for one in answer.predictions] == marks.tolist()
    assert {one.ood_score for one in answer.predictions} == {answer.version}
    assert max(server.sizes) <= MAX_IMAGES
