"""Calling a model server over gRPC, without TensorFlow."""

from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from serving.contract import Signature, TensorSpec
from serving.errors import (
    ContractError,
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)
from serving.tensors import dtype_name, read_tensor, write_tensor
from serving.transport import Arrays, Metadata, explained
from serving.wire import messages_pb2 as wire
from serving.wire.methods import GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT

_SIGNATURES_FIELD: Final = "signature_def"
#: gRPC's default for received messages, 4 MB, is less than the heatmaps of a large batch.
_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 * 2**20),
    # A server that comes back is found within a second or so, not after minutes of back-off.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_ERROR_OF_CODE: Final[dict[grpc.StatusCode, type[ServingError]]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: ServerUnavailable,
    grpc.StatusCode.CANCELLED: ServerUnavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ServerOverloaded,
    grpc.StatusCode.NOT_FOUND: ModelNotFound,
    grpc.StatusCode.INVALID_ARGUMENT: RequestRejected,
    grpc.StatusCode.FAILED_PRECONDITION: RequestRejected,
    grpc.StatusCode.OUT_OF_RANGE: RequestRejected,
    grpc.StatusCode.UNIMPLEMENTED: RequestRejected,
    grpc.StatusCode.PERMISSION_DENIED: RequestRejected,
    grpc.StatusCode.UNAUTHENTICATED: RequestRejected,
}


class GrpcTransport:
    """See `serving.transport.Transport`."""

    def __init__(self, address: str, model: str) -> None:
        self._address, self._model = address, model
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._predict = self._channel.unary_unary(
            PREDICT,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )
        self._status = self._channel.unary_unary(
            GET_MODEL_STATUS,
            request_serializer=wire.GetModelStatusRequest.SerializeToString,
            response_deserializer=wire.GetModelStatusResponse.FromString,
        )
        self._metadata = self._channel.unary_unary(
            GET_MODEL_METADATA,
            request_serializer=wire.GetModelMetadataRequest.SerializeToString,
            response_deserializer=wire.GetModelMetadataResponse.FromString,
        )

    def predict(
        self, signature: str, inputs: Arrays, version: int | None, timeout_s: float
    ) -> tuple[Arrays, int]:
        """See `Transport.predict`."""
        request = wire.PredictRequest(model_spec=self._spec(version))
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            write_tensor(array, request.inputs[name])
        response = self._call(self._predict, request, timeout_s)
        try:
            outputs = {name: read_tensor(proto) for name, proto in response.outputs.items()}
        except ValueError as error:
            raise ContractError(f"The server's answer cannot be read: {error}.") from error
        answered = int(response.model_spec.version.value)
        if answered < 1 or version not in (None, answered):
            raise ContractError("The server does not say which version answered, or another did.")
        return outputs, answered

    def status(self, timeout_s: float) -> dict[int, str]:
        """See `Transport.status`."""
        request = wire.GetModelStatusRequest(model_spec=self._spec(None))
        response = self._call(self._status, request, timeout_s)
        name = wire.ModelVersionStatus.State.Name
        try:
            return {one.version: name(one.state) for one in response.model_version_status}
        except ValueError as error:
            raise ContractError("The server answered an unknown state of a version.") from error

    def metadata(self, version: int | None, timeout_s: float) -> Metadata:
        """See `Transport.metadata`."""
        request = wire.GetModelMetadataRequest(
            model_spec=self._spec(version), metadata_field=[_SIGNATURES_FIELD]
        )
        response = self._call(self._metadata, request, timeout_s)
        # Unpacking by hand: the type inside is named after the official package, not ours.
        try:
            signatures = wire.SignatureDefMap.FromString(response.metadata[_SIGNATURES_FIELD].value)
        except DecodeError as error:
            raise ContractError("The server's metadata cannot be read.") from error
        return Metadata(
            version=int(response.model_spec.version.value),
            signatures={
                name: Signature(_specs(found.inputs), _specs(found.outputs))
                for name, found in signatures.signature_def.items()
                if not name.startswith("__")
            },
        )

    def close(self) -> None:
        """See `Transport.close`."""
        self._channel.close()

    def _spec(self, version: int | None) -> wire.ModelSpec:
        spec = wire.ModelSpec(name=self._model)
        if version is not None:
            spec.version.value = version
        return spec

    def _call(self, method: Any, request: Any, timeout_s: float) -> Any:
        try:
            return method(request, timeout=timeout_s)
        except grpc.RpcError as error:
            kind, details = _ERROR_OF_CODE.get(error.code(), ContractError), error.details() or ""
            if kind is ServerOverloaded and "larger than max" in details:
                kind, details = RequestRejected, "too many images for one message; send fewer."
            raise explained(kind, self._address, self._model, timeout_s, details) from error


def _specs(infos: Any) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(
            dtype_name(info.dtype),
            tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }
