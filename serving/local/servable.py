"""One loaded version of a model."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from serving.local.errors import RequestError, invalid
from serving.tensors import read_tensor

Arrays = dict[str, NDArray[Any]]

WARMUP_FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"
SERVING_TAG: Final = "serve"
DEFAULT_SIGNATURE: Final = "serving_default"


class Servable:
    """A SavedModel in memory, with the requests that are being answered by it counted."""

    def __init__(self, path: Path, version: int) -> None:
        """Load and warm up; slow.

        Raises:
            Exception: whatever TensorFlow finds wrong; a version that fails here must not serve.
        """
        self.version = version
        # Parsed for the metadata alone; copies let go of the message, which holds all the weights.
        message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        graphs = [g for g in message.meta_graphs if SERVING_TAG in g.meta_info_def.tags]
        if not graphs:
            raise ValueError(f"the SavedModel has no graph tagged {SERVING_TAG!r}")
        self.signature_defs = {
            name: meta_graph_pb2.SignatureDef.FromString(one.SerializeToString())
            for name, one in graphs[0].signature_def.items()
        }
        self._model = tf.saved_model.load(str(path), tags=[SERVING_TAG])
        self._functions: dict[str, Any] = dict(self._model.signatures)
        self._in_flight = 0
        self._idle = threading.Condition()
        self._warm_up(path / WARMUP_FILE)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Count a request, so that unloading waits for it."""
        with self._idle:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._idle:
                self._in_flight -= 1
                self._idle.notify_all()

    def wait_idle(self) -> None:
        """Return once no request is being answered."""
        with self._idle:
            self._idle.wait_for(lambda: not self._in_flight)

    def signature(self, name: str) -> Any:
        """The definition of a signature; the empty name means `serving_default`.

        Raises:
            RequestError: FAILED_PRECONDITION if there is none.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self._functions:
            raise RequestError(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
            )
        return self.signature_defs[name]

    def predict(self, signature: str, inputs: Arrays, output_filter: Sequence[str] = ()) -> Arrays:
        """Run a signature.

        Args:
            signature: its name; empty means `serving_default`.
            inputs: by tensor name; strings as object arrays of bytes.
            output_filter: names to return; none means all.

        Raises:
            RequestError: the request does not fit the signature, or the graph refuses it.
        """
        definition = self.signature(signature)
        _check_inputs(definition, inputs)
        unknown = [name for name in output_filter if name not in definition.outputs]
        if unknown:
            expected = ",".join(sorted(definition.outputs))
            raise invalid(
                f"output tensor alias not found in signature: {unknown[0]} "
                f"Outputs expected to be in the set {{{expected}}}."
            )
        function = self._functions[signature or DEFAULT_SIGNATURE]
        try:
            tensors = function(
                **{
                    name: tf.constant(array, tf.DType(definition.inputs[name].dtype))
                    for name, array in inputs.items()
                }
            )
        except tf.errors.OpError as error:
            raise RequestError(_CODES.get(error.error_code, _INTERNAL), error.message) from error
        names = output_filter or tensors
        return {name: tensors[name].numpy() for name in names}

    def _warm_up(self, path: Path) -> None:
        if not path.exists():
            return
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            inputs = {name: read_tensor(proto) for name, proto in request.inputs.items()}
            self.predict(request.model_spec.signature_name, inputs)


_INTERNAL: Final = grpc.StatusCode.INTERNAL
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def _check_inputs(definition: Any, inputs: Arrays) -> None:
    """Names, types and shapes are those of the signature, in TensorFlow Serving's words."""
    needed, sent = set(definition.inputs), set(inputs)
    if len(needed) != len(sent):
        listed = lambda names: ",".join(sorted(names))  # noqa: E731
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(needed)} "
            f"len({{{listed(sent)}}}) != len({{{listed(needed)}}}). "
            f"Sent extra: {{{listed(sent - needed)}}}. "
            f"Missing but required: {{{listed(needed - sent)}}}."
        )
    for name in sorted(needed):
        if name not in inputs:
            raise invalid(
                f"Signature input alias: {name}(feed name: {definition.inputs[name].name}) not found "
                "in request and no default value provided. Inputs expected to be in the request "
                f"{{{','.join(sorted(sent))}}}, or default input alias set: "
            )
        info, array = definition.inputs[name], inputs[name]
        wanted = tf.DType(info.dtype)
        if tf.as_dtype(array.dtype if array.dtype != object else np.dtype("S")) != wanted:
            given = "string" if array.dtype == object else tf.as_dtype(array.dtype).name
            short = {"float32": "float", "float64": "double"}
            raise invalid(
                f"Expects arg[0] to be {short.get(wanted.name, wanted.name)} "
                f"but {short.get(given, given)} is provided"
            )
        sizes = [dim.size for dim in info.tensor_shape.dim]
        fits = info.tensor_shape.unknown_rank or (
            len(sizes) == array.ndim
            and all(size in (-1, given) for size, given in zip(sizes, array.shape, strict=True))
        )
        if not fits:
            given = ",".join(str(size) for size in array.shape)
            expected = ",".join("?" if size < 0 else str(size) for size in sizes)
            raise invalid(
                f"Shape of tensor {name} [{given}] is not compatible with expected shape [{expected}]."
            )
