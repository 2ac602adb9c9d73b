"""Which versions of one model serve: polls its base path, loads what is wanted, unloads the rest."""

import ctypes
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from serving.local.config import ModelConfig
from serving.local.errors import RequestError, invalid, not_found
from serving.local.servable import Servable
from serving.versions import list_versions

log = logging.getLogger(__name__)

#: UNKNOWN of google.rpc.Code: what a version that cannot be loaded reports.
UNKNOWN_ERROR: Final = 2

#: Loads a version: name of the model, directory, version.
Load = Callable[[str, Path, int], Servable]


class State(IntEnum):
    """Life of a version; numbers and names of ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """State of a version, with the error that ended it, if one did."""

    state: State
    error_code: int = 0
    error_message: str = ""


@dataclass(frozen=True, kw_only=True)
class PollSettings:
    """How often to look for versions, and how often to try one again that cannot be loaded."""

    poll_s: float
    retries: int
    retry_s: float


@dataclass
class _Failure:
    """A version that could not be loaded: what its files were, and how often it was tried."""

    files: object
    attempts: int
    last: float


class ModelLoader:
    """Serves the versions of a model that its policy chooses, swapping without a gap.

    A new version is loaded and warmed up beside the old one, takes over between two requests, and
    the old one goes once its last request is answered. A version that fails to load leaves the old
    one in service; it is tried again when its files change, and a few times after a while. If all
    versions vanish, what serves stays: a slip in the file system must not take the model away.
    """

    def __init__(
        self,
        config: ModelConfig,
        settings: PollSettings,
        load: Load,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to watch.

        Args:
            config: of the model.
            settings: of the watching.
            load: loads and warms up one version, or raises.
            on_change: called after a version has begun or ceased to serve.
        """
        self.config = config
        self._settings, self._load_servable, self._on_change = settings, load, on_change
        self._labels: dict[str, int] = {}
        self._status: dict[int, VersionStatus] = {}
        self._failed: dict[int, _Failure] = {}
        self._serving: dict[int, Servable] = {}
        self._told_empty = False
        self._retired = False
        self._changed = threading.Condition()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name=f"versions of {config.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to watch, in a thread of its own."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop watching; what serves keeps serving. A load under way gets this long to end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def configure(self, config: ModelConfig) -> None:
        """Take on another path, policy or labels, at once."""
        with self._changed:
            self.config = config
        self._wake.set()

    def retire(self) -> None:
        """Unload everything, and end."""
        with self._changed:
            self._retired = True
        self._wake.set()

    def wait_until_available(self, deadline: float | None) -> bool:
        """Whether some version serves, now or before the deadline (of `time.monotonic()`).

        Gives up early once a version has failed to load.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._serving or self._failed,
                None if deadline is None else max(0.0, deadline - time.monotonic()),
            )
            return bool(self._serving)

    def missing_label(self, labels: dict[str, int]) -> int | None:
        """A version that is to be labelled but does not serve."""
        with self._changed:
            return next((one for one in labels.values() if one not in self._serving), None)

    def adopt_labels(self, labels: dict[str, int]) -> None:
        """Let these labels, and no others, name versions from now on."""
        with self._changed:
            before, self._labels = self._labels, labels
        if labels != before:
            log.info("Labels of %s: %s", self.config.name, labels)

    @contextmanager
    def servable(self, version: int | None = None, label: str = "") -> Iterator[Servable]:
        """A serving version, held until the block ends.

        Args:
            version: insist on this one; the newest by default.
            label: or on the one with this label.

        Raises:
            RequestError: NOT_FOUND if it does not serve, INVALID_ARGUMENT for an unknown label.
        """
        with self._changed:
            if label:
                version = self._labels.get(label)
                if version is None:
                    raise unknown_label(label)
            found = max(self._serving, default=None) if version is None else version
            servable = None if found is None else self._serving.get(found)
            if servable is None:
                raise no_servable(self.config.name, version)
            # Entered under the lock, so that a swap cannot unload it in between.
            use = servable.in_use()
            use.__enter__()
        try:
            yield servable
        finally:
            use.__exit__(None, None, None)

    def status(self) -> dict[int, VersionStatus]:
        """State of every version seen so far, newest first."""
        with self._changed:
            return dict(sorted(self._status.items(), reverse=True))

    def is_available(self) -> bool:
        """Whether some version serves."""
        with self._changed:
            return bool(self._serving)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            if self._retired:
                for version in sorted(self._serving):
                    self._unload(version)
                return
            try:
                self._poll()
            except Exception:
                log.exception("Looking for versions failed; trying again")
            self._wake.wait(self._settings.poll_s)

    def _poll(self) -> None:
        config = self.config
        versions = list_versions(config.base_path)
        if not versions and not self._serving and not self._told_empty:
            log.warning("No versions of %s in %s yet; waiting", config.name, config.base_path)
        self._told_empty = not versions
        wanted: list[int] = []
        while not self._stop.is_set() and not self._retired:
            loadable = [v for v in versions if not self._has_failed(config, v)]
            wanted = config.policy.choose(loadable)
            missing = [v for v in wanted if not self._serves(config, v)]
            if not missing:
                break
            self._load(config, max(missing))
        with self._changed:
            if config is not self.config:
                return  # there is a newer one: what it names must not be undone; the next look is at once
            # Before what they named goes, or who asks by label would find nothing for a moment.
            if self.missing_label(config.labels) is None:
                self.adopt_labels(config.labels)
        # Only once something wanted serves may go what is not: there is never a gap.
        if any(self._serves(config, version) for version in wanted):
            for version in sorted(set(self._serving) - set(wanted)):
                self._unload(version)

    def _serves(self, config: ModelConfig, version: int) -> bool:
        servable = self._serving.get(version)
        return servable is not None and servable.path == config.base_path / str(version)

    def _has_failed(self, config: ModelConfig, version: int) -> bool:
        """Whether a version failed, and neither its files changed nor another try is due."""
        failure = self._failed.get(version)
        if failure is None:
            return False
        if failure.files != _fingerprint(config.base_path / str(version)):
            del self._failed[version]
            return False
        due = time.monotonic() >= failure.last + self._settings.retry_s
        return not due or failure.attempts > self._settings.retries

    def _load(self, config: ModelConfig, version: int) -> None:
        """Load a version and make it serve, or note that it cannot be loaded."""
        path = config.base_path / str(version)
        files = _fingerprint(path)
        self._set(version, VersionStatus(State.LOADING))
        log.info("Loading %s version %d", config.name, version)
        try:
            new = self._load_servable(config.name, path, version)
        except Exception as error:
            before = self._failed.get(version)
            attempts = 1 if before is None else before.attempts + 1
            with self._changed:
                self._failed[version] = _Failure(files, attempts, time.monotonic())
                self._status[version] = VersionStatus(State.END, UNKNOWN_ERROR, str(error))
                self._changed.notify_all()
            log.error("%s version %d cannot be loaded: %s", config.name, version, error)
            return
        with self._changed:
            old = self._serving.get(version)  # the same number below another base path
            self._serving[version] = new
            self._failed.pop(version, None)
            self._status[version] = VersionStatus(State.AVAILABLE)
            self._changed.notify_all()
        log.info("%s version %d is AVAILABLE", config.name, version)
        self._on_change()
        if old is not None:
            old.wait_idle()
        _return_memory()

    def _unload(self, version: int) -> None:
        with self._changed:
            servable = self._serving.pop(version)
            self._status[version] = VersionStatus(State.UNLOADING)
        self._on_change()
        servable.wait_idle()
        del servable
        _return_memory()
        self._set(version, VersionStatus(State.END))
        log.info("%s version %d is unloaded", self.config.name, version)

    def _set(self, version: int, status: VersionStatus) -> None:
        with self._changed:
            self._status[version] = status


def no_servable(name: str, version: int | None) -> RequestError:
    """No version of that model, or not that version, serves."""
    which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return not_found(f"Servable not found for request: {which}")


def unknown_label(label: str) -> RequestError:
    """No version has that label."""
    return invalid(f"Unrecognized servable version label: {label}")


def _return_memory() -> None:
    """Free what a load or an unloaded version leaves behind.

    TensorFlow's objects refer to each other, so that only the collector frees them; and the C library
    keeps what is freed, a third of the process after a swap, unless it is told to return it.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, others need it less
    if trim is not None:
        trim(0)


def _fingerprint(path: Path) -> object:
    """Changes when files are added to or changed in a directory."""
    try:
        return sorted(
            (str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in path.rglob("*")
        )
    except FileNotFoundError:  # it is going just now
        return None
