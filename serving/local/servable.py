"""One loaded version of a model."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import tensorflow as tf

from serving.local.batching import BatchScheduler
from serving.local.errors import RequestError, too_late
from serving.local.metrics import Metrics, microseconds_since
from serving.local.signatures import check_inputs, check_outputs, is_batchable
from serving.release.digest import check
from serving.saved_model import (
    DEFAULT_SIGNATURE,
    SERVING_TAG,
    WARMUP_FILE,
    signature_defs,
    warmup_requests,
)
from serving.tensors import Arrays, read_tensor
from serving.versions import VersionError

log = logging.getLogger(__name__)


_INTERNAL: Final = grpc.StatusCode.INTERNAL
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Servable:
    """A SavedModel in memory, with the requests that are being answered by it counted."""

    def __init__(
        self,
        name: str,
        path: Path,
        version: int,
        metrics: Metrics,
        scheduler: BatchScheduler | None = None,
    ) -> None:
        """Check against the version's digests if it has any, load and warm up; slow.

        Args:
            name: of the model.
            path: of the version.
            version: its number.
            metrics: where to count.
            scheduler: merges requests, if given.

        Raises:
            VersionError: a file is not as it was published.
            Exception: whatever TensorFlow finds wrong; a version that fails here must not serve.
        """
        self.name, self.path, self.version = name, path, version
        self._metrics, self._scheduler = metrics, scheduler
        self._in_flight = 0
        self._idle = threading.Condition()
        begin, outcome = time.perf_counter(), "fail"
        try:
            _refuse_if_damaged(path)
            self.signature_defs = signature_defs(path)
            self._model = tf.saved_model.load(str(path), tags=[SERVING_TAG])
            self._functions: dict[str, Any] = dict(self._model.signatures)
            self._batchable = {
                name
                for name in self._functions
                if scheduler is not None and is_batchable(self.signature_defs[name])
            }
            if (path / WARMUP_FILE).exists():
                self._warm_up()
            outcome = "success"
        finally:
            metrics.loads.add(str(path), outcome)
            metrics.load_latency.add(str(path), by=microseconds_since(begin))

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

    def predict(
        self,
        signature: str,
        inputs: Arrays,
        output_filter: Sequence[str] = (),
        *,
        deadline: float | None = None,
    ) -> Arrays:
        """Answer a request, together with others where batching is on.

        Args:
            signature: its name; empty means `serving_default`.
            inputs: by tensor name; strings as object arrays of bytes.
            output_filter: names to return; none means all.
            deadline: of `time.monotonic()`; past it, nothing is computed.

        Raises:
            RequestError: the request does not fit the signature, the graph refuses it, it is too late,
                or too much is queued.
        """
        definition = self.signature(signature)
        check_inputs(definition, inputs)
        check_outputs(definition, output_filter)
        if deadline is not None and time.monotonic() >= deadline:
            raise too_late()
        name = signature or DEFAULT_SIGNATURE
        begin = time.perf_counter()
        kind = self._kind(name, inputs)
        if kind is None:
            outputs = self._run(name, inputs)
        else:
            assert self._scheduler is not None  # noqa: S101 - nothing is batchable without one
            outputs = self._scheduler.run(
                kind, self._runner(name), inputs, model_name=self.name, deadline=deadline
            )
        self._metrics.runtime_latency.observe(
            microseconds_since(begin), self.name, "Predict", "TF1"
        )
        return {name: outputs[name] for name in output_filter} if output_filter else outputs

    def _run(self, signature: str, inputs: Arrays) -> Arrays:
        """The graph itself, on inputs that were checked."""
        infos = self.signature_defs[signature].inputs
        try:
            tensors = self._functions[signature](
                **{
                    name: tf.constant(array, tf.DType(infos[name].dtype))
                    for name, array in inputs.items()
                }
            )
        except tf.errors.OpError as error:
            raise RequestError(_CODES.get(error.error_code, _INTERNAL), error.message) from error
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    def _runner(self, signature: str) -> Callable[[Arrays], Arrays]:
        return lambda inputs: self._run(signature, inputs)

    def _kind(self, signature: str, inputs: Arrays) -> tuple[Any, ...] | None:
        """What requests must share to be merged with this one; None if it cannot be merged."""
        if signature not in self._batchable:
            return None
        if len({len(array) for array in inputs.values()}) != 1 or not len(
            next(iter(inputs.values()))
        ):
            return None
        return self, signature, tuple(sorted((name, a.shape[1:]) for name, a in inputs.items()))

    def _warm_up(self) -> None:
        """Answer the version's own requests, unmerged, at the sizes they are written in."""
        begin, outcome = time.perf_counter(), "INTERNAL"
        try:
            for request in warmup_requests(self.path):
                inputs = {name: read_tensor(proto) for name, proto in request.inputs.items()}
                signature = request.model_spec.signature_name
                check_inputs(self.signature(signature), inputs)
                self._run(signature, inputs)
                self._metrics.warmup_records.add(str(self.path))
            outcome = "OK"
        except RequestError as error:
            outcome = error.code.name
            raise
        finally:
            self._metrics.warmup_latency.observe(microseconds_since(begin), str(self.path), outcome)


def _refuse_if_damaged(path: Path) -> None:
    """Keep a version that was tampered with from being served; one without digests is let through."""
    found = check(path)
    if found.problems:
        raise VersionError(f"{path} is {found}")
    if found.digest is None:
        log.warning("%s has %s", path, found)
