"""The gRPC surface of the local server, through TensorFlow Serving's own stubs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.local.errors import RequestError, invalid, not_found
from serving.local.loader import ModelLoader, VersionStatus
from serving.local.servable import Servable
from serving.tensors import read_tensor, write_tensor

SIGNATURES_FIELD: Final = "signature_def"


def add_services(server: grpc.Server, loader: ModelLoader) -> None:
    """Answer PredictionService and ModelService on a gRPC server."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _PredictionService(loader), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(loader), server)


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other methods answer UNIMPLEMENTED."""

    def __init__(self, loader: ModelLoader) -> None:
        self._loader = loader

    def Predict(  # noqa: N802 - the service's own name
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        return _answered(context, lambda: predict(self._loader, request))

    def GetModelMetadata(  # noqa: N802
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        return _answered(context, lambda: metadata(self._loader, request))


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; reload by request answers UNIMPLEMENTED."""

    def __init__(self, loader: ModelLoader) -> None:
        self._loader = loader

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        return _answered(context, lambda: status(self._loader, request.model_spec))


def predict(
    loader: ModelLoader, request: predict_pb2.PredictRequest
) -> predict_pb2.PredictResponse:
    """Answer a Predict request, or raise RequestError."""
    spec = request.model_spec
    with servable(loader, spec) as model:
        inputs = {}
        for name, proto in request.inputs.items():
            try:
                inputs[name] = read_tensor(proto)
            except ValueError as error:
                raise invalid(f"tensor parsing error: {name}") from error
        outputs = model.predict(spec.signature_name, inputs, request.output_filter)
        response = predict_pb2.PredictResponse()
        for name, array in outputs.items():
            write_tensor(array, response.outputs[name], packed=False)
        response.model_spec.name = spec.name
        response.model_spec.version.value = model.version
        response.model_spec.signature_name = spec.signature_name or "serving_default"
        return response


def metadata(
    loader: ModelLoader, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Answer a GetModelMetadata request, or raise RequestError."""
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURES_FIELD:
            raise invalid(f"Metadata field {field} is not supported")
    with servable(loader, request.model_spec) as model:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in model.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = model.version
        response.metadata[SIGNATURES_FIELD].Pack(signatures)
        return response


def status(
    loader: ModelLoader, spec: model_pb2.ModelSpec
) -> get_model_status_pb2.GetModelStatusResponse:
    """Answer a GetModelStatus request, or raise RequestError."""
    known: dict[int, VersionStatus] = loader.status() if spec.name == loader.name else {}
    if spec.HasField("version"):
        if spec.version.value not in known:
            raise not_found(f"Could not find version {spec.version.value} of model {spec.name}")
        known = {spec.version.value: known[spec.version.value]}
    if not known:
        raise not_found(f"Could not find any versions of model {spec.name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, one in known.items():
        row = response.model_version_status.add(version=version, state=int(one.state))
        row.status.error_code = one.error_code
        row.status.error_message = one.error_message
    return response


@contextmanager
def servable(loader: ModelLoader, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
    """The version that a model spec names, held until the block ends, or RequestError."""
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    if spec.HasField("version_label"):
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    version = spec.version.value if spec.HasField("version") else None
    if spec.name != loader.name:
        which = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
        raise not_found(f"Servable not found for request: {which}")
    with loader.servable(version) as loaded:
        yield loaded


def _answered(context: grpc.ServicerContext, answer: Callable[[], Any]) -> Any:
    try:
        return answer()
    except RequestError as error:
        _abort(context, error)


def _abort(context: grpc.ServicerContext, error: RequestError) -> NoReturn:
    context.abort(error.code, str(error))
    raise AssertionError("abort raises")
