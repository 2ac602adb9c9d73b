"""All models of the server: who answers a request, and what changes when the configuration does."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from serving.local.config import ConfigError, ModelConfig, read_models
from serving.local.errors import RequestError, invalid, not_found
from serving.local.loader import Load, ModelLoader, PollSettings, no_servable, unknown_label
from serving.local.servable import Servable

log = logging.getLogger(__name__)


class ModelManager:
    """One loader for each configured model; the configuration may change while the server runs."""

    def __init__(self, settings: PollSettings, load: Load, *, labels_ahead: bool = False) -> None:
        """Nothing is loaded before `start`.

        Args:
            settings: for every model.
            load: loads and warms up one version, or raises.
            labels_ahead: whether `reload` may give a new label to a version that does not serve yet.
        """
        self._settings, self._load, self._labels_ahead = settings, load, labels_ahead
        self._loaders: dict[str, ModelLoader] = {}
        self._retired: dict[str, ModelLoader] = {}
        self._reloading = threading.Lock()
        self._on_ready: Callable[[], None] = lambda: None
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self, models: Sequence[ModelConfig], on_ready: Callable[[], None]) -> None:
        """Begin to load and watch.

        Args:
            models: to serve.
            on_ready: called, perhaps more than once, when all models have a version that serves.
        """
        self._on_ready = on_ready
        self._apply(models)

    def watch_config(self, path: Path, poll_s: float) -> None:
        """Take on the content of a configuration file whenever it changes, in a thread of its own."""
        self._watcher = threading.Thread(
            target=self._watch, args=(path, poll_s), name="config", daemon=True
        )
        self._watcher.start()

    def stop(self, timeout_s: float) -> None:
        """Stop watching; what serves keeps serving."""
        self._stop.set()
        deadline = time.monotonic() + timeout_s
        for loader in self._loaders.values():
            loader.stop(max(0.0, deadline - time.monotonic()))

    @contextmanager
    def servable(self, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
        """The version that a model spec names, held until the block ends.

        Raises:
            RequestError: INVALID_ARGUMENT without a name or for an unknown label, NOT_FOUND.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        version = spec.version.value if spec.HasField("version") else None
        loader = self._loaders.get(spec.name)
        if loader is None:
            raise (
                unknown_label(spec.version_label)
                if spec.version_label
                else no_servable(spec.name, version)
            )
        with loader.servable(version, spec.version_label) as servable:
            yield servable

    def status(self, spec: model_pb2.ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
        """Every version of a model seen so far, or the one that the spec names.

        A label in the spec changes nothing, as with TensorFlow Serving.

        Raises:
            RequestError: NOT_FOUND.
        """
        loader = self._loaders.get(spec.name) or self._retired.get(spec.name)
        known = {} if loader is None else loader.status()
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

    def reload(self, models: Sequence[ModelConfig], deadline: float | None) -> None:
        """Serve these models and no others; returns once the new ones are available.

        Args:
            models: what HandleReloadConfigRequest lists.
            deadline: of `time.monotonic()`, how long to wait for them.

        Raises:
            RequestError: NOT_FOUND for a missing base path, before anything changes;
                FAILED_PRECONDITION for a label on a version that does not serve, where the old labels
                stay; UNKNOWN if a new model does not become available.
        """
        for one in models:
            if not one.base_path.is_dir():
                raise not_found(f"Could not find base path {one.base_path} for servable {one.name}")
        with self._reloading:
            labels_before = {name: one.config.labels for name, one in self._loaders.items()}
            new = [one.name for one in models if one.name not in self._loaders]
            self._apply(models)
            missing = [n for n in new if not self._loaders[n].wait_until_available(deadline)]
            if missing:
                raise RequestError(
                    grpc.StatusCode.UNKNOWN,
                    f"Some models did not become available: {{{', '.join(missing)}}}",
                )
            for one in models:
                loader = self._loaders[one.name]
                before = labels_before.get(one.name, {})
                version = loader.missing_label(
                    {
                        label: version
                        for label, version in one.labels.items()
                        if not self._labels_ahead or before.get(label, version) != version
                    }
                )
                if version is not None:
                    loader.configure(ModelConfig(one.name, one.base_path, one.policy, before))
                    raise RequestError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {one.name}, "
                        "which is not currently available for inference",
                    )
                loader.adopt_labels(one.labels)

    def _apply(self, models: Sequence[ModelConfig]) -> None:
        loaders = dict(self._loaders)
        started = []
        for one in models:
            if one.name in loaders:
                loaders[one.name].configure(one)
            else:
                loader = ModelLoader(one, self._settings, self._load, self._tell_ready)
                loaders[one.name] = loader
                started.append(loader)
        for name in set(loaders) - {one.name for one in models}:
            self._retired[name] = loaders.pop(name)
            self._retired[name].retire()
        self._loaders = loaders  # swapped whole: requests read it without a lock
        for loader in started:
            loader.start()
        self._tell_ready()

    def _tell_ready(self) -> None:
        if all(loader.is_available() for loader in self._loaders.values()):
            self._on_ready()

    def _watch(self, path: Path, poll_s: float) -> None:
        seen, told = _content(path), ""
        while not self._stop.wait(poll_s):
            content = _content(path)
            if content == seen:
                continue
            try:
                models = read_models(path)
                with self._reloading:
                    self._apply(models)
            except ConfigError as error:
                if str(error) != told:
                    log.error("The old configuration stays: %s", error)
                told = str(error)
                continue
            seen, told = content, ""
            log.info("%s is applied", path)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
