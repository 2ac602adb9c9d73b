"""A real gRPC model server that does as it is told: the answers and the faults of a model server.

Probability is the mean brightness over 255, so that a test knows the answer from the picture.
"""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from serving.contract import IMAGE_SHAPE, SIGNATURES
from serving.wire import messages_pb2 as wire
from tests.serving.scripted import metadata_response

VERSION = 7
LOW, LABEL, HIGH = 0.25, 0.5, 0.75
#: How long the server sits on a request when told to hang.
HANG_S = 30.0

STATUS_OF_FAULT = {
    "busy": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "missing": grpc.StatusCode.NOT_FOUND,
    "rejects": grpc.StatusCode.INVALID_ARGUMENT,
}


@dataclass
class ScriptedServer:
    """What the server does next, set by the test.

    Attributes:
        address: where it listens.
        behaviour: "answers", "hangs", "nan", "wrong_shape", "unknown_label" or one of
            `STATUS_OF_FAULT`.
        replaced: the version that answers is gone by the time its card is asked for, once.
        fails_after: so many predictions until one that is no probability, once.
        in_distribution: what it says of every image up to `familiar_up_to`.
        familiar_up_to: the probability above which an image is like none that it knows.
        version: the one it has; others are not found.
        swap_after: so many requests for answers, and the next version takes this one's place.
        hang_after: so many requests for answers, and it hangs.
        card: what its card says beside the thresholds.
        batches: how many images came with each request.
        hung: how many requests it has sat on.
    """

    address: str = ""
    behaviour: str = "answers"
    in_distribution: bool = True
    familiar_up_to: float = 1.0
    replaced: bool = False
    fails_after: int | None = None
    version: int = VERSION
    swap_after: int | None = None
    hang_after: int | None = None
    card: dict[str, Any] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    hung: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        """As at first; whoever hangs is let go."""
        self.release.set()
        for name, value in vars(ScriptedServer(self.address)).items():
            setattr(self, name, value)

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        if status := STATUS_OF_FAULT.get(self.behaviour):
            context.abort(status, "as told")
        if self.swap_after is not None and len(self.batches) == self.swap_after:
            self.version, self.swap_after = self.version + 1, None
        self._check_version(request, context)
        response = wire.PredictResponse(model_spec=request.model_spec)
        response.model_spec.version.value = self.version
        if request.model_spec.signature_name == "card":
            if self.replaced:
                self.replaced = False
                context.abort(grpc.StatusCode.NOT_FOUND, "this version was just unloaded")
            thresholds = {"low": LOW, "label": LABEL, "high": HIGH}
            content = {"model": "brain_tumor", "thresholds": thresholds} | self.card
            card = json.dumps(content).encode()
            response.outputs["card"].CopyFrom(_strings([card]))
            return response
        if self.behaviour == "hangs" or self.hang_after == len(self.batches):
            self.hung += 1
            self.release.wait(HANG_S)
        pixels = np.frombuffer(request.inputs["images"].tensor_content, np.uint8)
        probabilities = pixels.reshape(-1, *IMAGE_SHAPE).mean((1, 2, 3)) / 255
        self.batches.append(len(probabilities))
        if self.behaviour == "nan" or self._fails_now():
            probabilities = np.full_like(probabilities, np.nan)
        if self.behaviour == "wrong_shape":
            probabilities = np.repeat(probabilities, 2)
        labels = [b"tumor" if p >= LABEL else b"no_tumor" for p in probabilities]
        if self.behaviour == "unknown_label":
            labels = [b"banana"] * len(labels)
        risks = [b"low" if p < LOW else b"medium" if p < HIGH else b"high" for p in probabilities]
        outputs = response.outputs
        outputs["probability"].CopyFrom(_floats(probabilities))
        outputs["label"].CopyFrom(_strings(labels))
        outputs["risk"].CopyFrom(_strings(risks))
        outputs["ood_score"].CopyFrom(_floats(np.full(len(labels), 0.5)))
        outputs["in_distribution"].CopyFrom(
            wire.TensorProto(
                dtype=wire.DT_BOOL,
                tensor_shape=_shape(len(labels)),
                bool_val=[self.in_distribution and p <= self.familiar_up_to for p in probabilities],
            )
        )
        if request.model_spec.signature_name == "explain":
            outputs["heatmap"].CopyFrom(_heatmaps(len(labels)))
        return response

    def _fails_now(self) -> bool:
        if self.fails_after is None:
            return False
        now = self.fails_after == 0
        self.fails_after = None if now else self.fails_after - 1
        return now

    def _check_version(self, request: Any, context: grpc.ServicerContext) -> None:
        if request.model_spec.version.value not in (0, self.version):
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such version")

    def metadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._check_version(request, context)
        return metadata_response(self.version, SIGNATURES)

    def status(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.behaviour == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "as told")
        state = wire.ModelVersionStatus(version=self.version, state="AVAILABLE")
        return wire.GetModelStatusResponse(model_version_status=[state])


@contextmanager
def scripted_server(port: int) -> Iterator[ScriptedServer]:
    """Run a scripted server on a port."""
    scripted = ScriptedServer(address=f"127.0.0.1:{port}")
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.PredictionService",
                {
                    "Predict": _unary(scripted.predict, wire.PredictRequest),
                    "GetModelMetadata": _unary(scripted.metadata, wire.GetModelMetadataRequest),
                },
            ),
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.ModelService",
                {"GetModelStatus": _unary(scripted.status, wire.GetModelStatusRequest)},
            ),
        )
    )
    assert server.add_insecure_port(scripted.address) == port
    server.start()
    try:
        yield scripted
    finally:
        scripted.release.set()
        server.stop(grace=None).wait()


def _unary(answer: Any, request: Any) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        answer, request.FromString, lambda message: message.SerializeToString()
    )


def _shape(length: int) -> Any:
    return wire.TensorShapeProto(dim=[wire.TensorShapeProto.Dim(size=length)])


def _floats(values: Any) -> Any:
    return wire.TensorProto(
        dtype=wire.DT_FLOAT, tensor_shape=_shape(len(values)), float_val=list(values)
    )


def _heatmaps(length: int) -> Any:
    """Evidence in the upper left corner of a grid of two by two."""
    maps = np.tile(np.array([[1, 0], [0, 0]], np.float32), (length, 1, 1))
    return wire.TensorProto(
        dtype=wire.DT_FLOAT,
        tensor_shape=wire.TensorShapeProto(
            dim=[wire.TensorShapeProto.Dim(size=size) for size in maps.shape]
        ),
        tensor_content=maps.tobytes(),
    )


def _strings(values: list[bytes]) -> Any:
    return wire.TensorProto(
        dtype=wire.DT_STRING, tensor_shape=_shape(len(values)), string_val=values
    )
