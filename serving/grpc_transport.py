"""Calling a model server over gRPC, without TensorFlow."""

from typing import Any, Final

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from serving.contract import SERVING_DEFAULT
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
from serving.tensors import Arrays, read_signatures, read_tensor, write_tensor
from serving.transport import GRPC_TLS, Call, Choice, Deadline, Metadata, Outputs, Server
from serving.wire import messages_pb2 as wire
from serving.wire.methods import GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT

_SIGNATURES_FIELD: Final = "signature_def"
#: gRPC's default for received messages, 4 MB, is less than the heatmaps of a large batch.
_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 * 2**20),
    # Retries are the client's affair, the same over gRPC and REST.
    ("grpc.enable_retries", 0),
    # A server that comes back is found within a second or so, not after minutes of back-off.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_ERROR_OF_CODE: Final[dict[grpc.StatusCode, type[ServingError]]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: ServerUnavailable,
    grpc.StatusCode.CANCELLED: CallCancelled,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ServerOverloaded,
    grpc.StatusCode.NOT_FOUND: ModelNotFound,
    grpc.StatusCode.INVALID_ARGUMENT: RequestRejected,
    grpc.StatusCode.FAILED_PRECONDITION: RequestRejected,
    grpc.StatusCode.OUT_OF_RANGE: RequestRejected,
    grpc.StatusCode.UNIMPLEMENTED: RequestRejected,
    grpc.StatusCode.PERMISSION_DENIED: RequestRejected,
    grpc.StatusCode.UNAUTHENTICATED: RequestRejected,
}
#: What gRPC, not a server, says of a connection that could not be made.
_NOBODY_THERE: Final = ("failed to connect to all addresses", "DNS resolution failed")


class GrpcCodec:
    """TensorFlow Serving's messages; see `serving.transport.Codec`."""

    names_version = True

    def __init__(self, server: Server) -> None:
        self._model = server.model

    def scans(self, images: NDArray[np.uint8]) -> tuple[str, Arrays]:
        """See `Codec.scans`."""
        return SERVING_DEFAULT, {"images": images}

    def predict(self, signature: str, inputs: Arrays, choice: Choice) -> Call[Outputs]:
        """See `Codec.predict`."""
        request = wire.PredictRequest(model_spec=self._spec(choice))
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            write_tensor(array, request.inputs[name])
        return Call(PREDICT, request.SerializeToString(), _read_outputs)

    def metadata(self, choice: Choice) -> Call[Metadata]:
        """See `Codec.metadata`."""
        request = wire.GetModelMetadataRequest(
            model_spec=self._spec(choice), metadata_field=[_SIGNATURES_FIELD]
        )
        return Call(GET_MODEL_METADATA, request.SerializeToString(), _read_metadata)

    def status(self) -> Call[dict[int, str]]:
        """See `Codec.status`."""
        request = wire.GetModelStatusRequest(model_spec=self._spec(None))
        return Call(GET_MODEL_STATUS, request.SerializeToString(), _read_status)

    def _spec(self, choice: Choice) -> wire.ModelSpec:
        spec = wire.ModelSpec(name=self._model)
        if isinstance(choice, int):
            spec.version.value = choice
        elif choice is not None:
            spec.version_label = choice
        return spec


class GrpcSender:
    """A channel; see `serving.transport.Sender`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._channel = _channel(grpc, server)
        self._methods = _methods(self._channel)

    def send(self, call: Call[Any], deadline: Deadline) -> bytes:
        """See `Sender.send`."""
        try:
            return self._methods[call.path](call.body, timeout=_left(self._server, deadline))
        except grpc.RpcError as error:
            raise _explained(self._server, error, deadline) from error

    def close(self) -> None:
        """See `Sender.close`."""
        self._channel.close()


class AsyncGrpcSender:
    """A channel of `grpc.aio`; see `serving.transport.AsyncSender`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._channel: Any = None
        self._methods: dict[str, Any] = {}

    async def send(self, call: Call[Any], deadline: Deadline) -> bytes:
        """See `AsyncSender.send`."""
        if self._channel is None:  # not before there is a loop, to which a channel belongs
            self._channel = _channel(grpc.aio, self._server)
            self._methods = _methods(self._channel)
        try:
            left = _left(self._server, deadline)
            return await self._methods[call.path](call.body, timeout=left)
        except grpc.RpcError as error:
            raise _explained(self._server, error, deadline) from error

    async def close(self) -> None:
        """See `AsyncSender.close`."""
        if self._channel is not None:
            await self._channel.close()


def _channel(library: Any, server: Server) -> Any:
    """A channel of `grpc` or `grpc.aio`, which name theirs alike."""
    if not server.address.startswith(GRPC_TLS):
        return library.insecure_channel(server.address, options=_CHANNEL_OPTIONS)
    authorities = None if server.authorities is None else server.authorities.encode()
    return library.secure_channel(
        server.address.removeprefix(GRPC_TLS),
        grpc.ssl_channel_credentials(authorities),
        options=_CHANNEL_OPTIONS,
    )


def _methods(channel: Any) -> dict[str, Any]:
    """Callables by path, from bytes to bytes: the codec reads and writes messages."""
    return {
        path: channel.unary_unary(path) for path in (PREDICT, GET_MODEL_METADATA, GET_MODEL_STATUS)
    }


def _left(server: Server, deadline: Deadline) -> float:
    seconds = deadline.left()
    if not seconds:  # gRPC would let a quick server answer all the same
        raise server.error(DeadlineExceeded, deadline.timeout_s)
    return seconds


def _explained(server: Server, error: Any, deadline: Deadline) -> ServingError:
    kind, details = _ERROR_OF_CODE.get(error.code(), ContractError), error.details() or ""
    if kind is ServerOverloaded and "larger than max" in details:
        kind, details = RequestRejected, "too many images for one message; send fewer."
    if not_secured := server.not_secured(details):
        return not_secured
    if kind is ServerUnavailable and details.startswith(_NOBODY_THERE):
        details = ""
    return server.error(kind, deadline.timeout_s, details)


def _read_outputs(answer: bytes) -> Outputs:
    try:
        response = wire.PredictResponse.FromString(answer)
        arrays = {name: read_tensor(proto) for name, proto in response.outputs.items()}
    except (DecodeError, ValueError) as error:
        raise ContractError(f"The server's answer cannot be read: {error}.") from error
    version = int(response.model_spec.version.value)
    if version < 1:
        raise ContractError("The server does not say which version answered.")
    return Outputs(arrays, version)


def _read_metadata(answer: bytes) -> Metadata:
    try:
        response = wire.GetModelMetadataResponse.FromString(answer)
        # Unpacking by hand: the type inside is named after the official package, not ours.
        found = wire.SignatureDefMap.FromString(response.metadata[_SIGNATURES_FIELD].value)
    except DecodeError as error:
        raise ContractError("The server's metadata cannot be read.") from error
    return Metadata(
        version=int(response.model_spec.version.value),
        signatures=read_signatures(found.signature_def),
    )


def _read_status(answer: bytes) -> dict[int, str]:
    name = wire.ModelVersionStatus.State.Name
    try:
        response = wire.GetModelStatusResponse.FromString(answer)
        return {one.version: name(one.state) for one in response.model_version_status}
    except (DecodeError, ValueError) as error:
        raise ContractError("The server's status cannot be read.") from error
