"""The gRPC surface of the local server, through TensorFlow Serving's own stubs."""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.local.config import ConfigError, model_configs
from serving.local.errors import RequestError, invalid
from serving.local.manager import ModelManager
from serving.local.metrics import Metrics, microseconds_since
from serving.local.servable import Servable
from serving.local.signatures import check_names, refuse_classify, refuse_regress
from serving.saved_model import DEFAULT_SIGNATURE
from serving.tensors import Arrays, read_tensor, write_tensor

log = logging.getLogger(__name__)

SIGNATURES_FIELD: Final = "signature_def"
SERVICES: Final = (
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)
#: A call without a deadline has one that is further away than this.
_FOREVER_S: Final = 1e9


def add_services(server: grpc.Server, manager: ModelManager, metrics: Metrics) -> None:
    """Answer PredictionService and ModelService on a gRPC server."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _PredictionService(manager, metrics), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(manager), server)


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; what the served model has no signature for is refused in words."""

    def __init__(self, manager: ModelManager, metrics: Metrics) -> None:
        self._manager, self._metrics = manager, metrics

    def Predict(  # noqa: N802 - the service's own name
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        return self._counted(
            "Predict",
            request.model_spec,
            context,
            lambda deadline: predict(self._manager, request, deadline),
        )

    def Classify(  # noqa: N802
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        spec = request.model_spec
        return self._counted("Classify", spec, context, lambda _: classify(self._manager, spec))

    def Regress(  # noqa: N802
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        spec = request.model_spec
        return self._counted("Regress", spec, context, lambda _: regress(self._manager, spec))

    def MultiInference(  # noqa: N802
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        def refuse(_: float | None) -> None:
            raise RequestError(
                grpc.StatusCode.UNIMPLEMENTED,
                "This server does not answer MultiInference; call Predict for each signature.",
            )

        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        return self._counted("MultiInference", spec, context, refuse)

    def GetModelMetadata(  # noqa: N802
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        return _answered(context, lambda _: metadata(self._manager, request))

    def _counted(
        self,
        api: str,
        spec: model_pb2.ModelSpec,
        context: grpc.ServicerContext,
        answer: Callable[[float | None], Any],
    ) -> Any:
        begin = time.perf_counter()

        def count(code: grpc.StatusCode) -> None:
            self._metrics.requests.add(spec.name, code.name)
            if code is grpc.StatusCode.OK:
                took = microseconds_since(begin)
                self._metrics.request_latency.observe(took, spec.name, api, "GRPC")

        return _answered(context, answer, count)


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus, and another configuration by request."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        def answer(_: float | None) -> get_model_status_pb2.GetModelStatusResponse:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            return self._manager.status(request.model_spec)

        return _answered(context, answer)

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        def answer(deadline: float | None) -> model_management_pb2.ReloadConfigResponse:
            try:
                models = model_configs(request.config)
            except ConfigError as error:
                raise invalid(str(error)) from error
            self._manager.reload(models, deadline)
            response = model_management_pb2.ReloadConfigResponse()
            response.status.SetInParent()
            return response

        return _answered(context, answer)


def predict(
    manager: ModelManager, request: predict_pb2.PredictRequest, deadline: float | None
) -> predict_pb2.PredictResponse:
    """Answer a Predict request, or raise RequestError."""
    spec = request.model_spec
    with manager.servable(spec) as model:
        inputs = read_inputs(request, model.signature(spec.signature_name))
        outputs = model.predict(
            spec.signature_name, inputs, request.output_filter, deadline=deadline
        )
    response = predict_pb2.PredictResponse()
    for name, array in outputs.items():
        write_tensor(array, response.outputs[name], packed=False)
    response.model_spec.name = spec.name
    response.model_spec.version.value = model.version
    response.model_spec.signature_name = spec.signature_name or DEFAULT_SIGNATURE
    return response


def read_inputs(request: predict_pb2.PredictRequest, definition: Any) -> Arrays:
    """The input tensors of a Predict request, for a signature that has all of them.

    Each may unpack to far more than was sent; those that no signature asks for are not unpacked.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    check_names(definition, request.inputs)
    inputs = {}
    for name, proto in request.inputs.items():
        try:
            inputs[name] = read_tensor(proto)
        except ValueError as error:
            raise invalid(f"tensor parsing error: {name}") from error
    return inputs


def classify(manager: ModelManager, spec: model_pb2.ModelSpec) -> None:
    """Say why the signature that a spec names does not classify, as RequestError."""
    with manager.servable(spec) as model:
        raise refuse_classify(_definition(model, spec))


def regress(manager: ModelManager, spec: model_pb2.ModelSpec) -> None:
    """Say why the signature that a spec names does not regress, as RequestError."""
    with manager.servable(spec) as model:
        raise refuse_regress(_definition(model, spec))


def metadata(
    manager: ModelManager, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Answer a GetModelMetadata request, or raise RequestError."""
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURES_FIELD:
            raise invalid(f"Metadata field {field} is not supported")
    with manager.servable(request.model_spec) as model:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in model.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = model.version
        response.metadata[SIGNATURES_FIELD].Pack(signatures)
        return response


def _definition(model: Servable, spec: model_pb2.ModelSpec) -> Any:
    try:
        return model.signature(spec.signature_name)
    except RequestError as error:
        name = spec.signature_name or DEFAULT_SIGNATURE
        raise invalid(f"No signature was found with the name: {name}") from error


def _answered(
    context: grpc.ServicerContext,
    answer: Callable[[float | None], Any],
    count: Callable[[grpc.StatusCode], None] = lambda _: None,
) -> Any:
    """The answer, which is told its deadline; or the call ended with the status of a RequestError."""
    left = context.time_remaining()
    deadline = None if left is None or left > _FOREVER_S else time.monotonic() + left
    try:
        if not context.is_active() or (left is not None and left <= 0):
            raise RequestError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline passed while the request waited"
            )
        found = answer(deadline)
    except RequestError as error:
        code, text = error.code, str(error)
    except Exception as error:  # its text may quote the request, so only its kind is logged
        log.error("A gRPC request failed: %s", type(error).__name__)
        code, text = grpc.StatusCode.INTERNAL, "The server failed to answer this request"
    else:
        count(grpc.StatusCode.OK)
        return found
    count(code)
    context.abort(code, text)
    raise AssertionError("abort raises")
