"""Which versions of a model serve: polls the base path, loads the newest, unloads what it replaces."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from serving.local.errors import not_found
from serving.local.servable import Servable
from serving.versions import list_versions

log = logging.getLogger(__name__)

#: UNKNOWN of google.rpc.Code: what a version that cannot be loaded reports.
UNKNOWN_ERROR = 2


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


class ModelLoader:
    """Serves the newest version under a base path, swapping without a gap.

    The new version is loaded and warmed up beside the old one, takes over between two requests, and
    the old one goes once its last request is answered. A version that fails to load leaves the old
    one in service and is tried again when its files change. If all versions vanish, the last one
    stays in service: a slip in the file system must not take the model away.
    """

    def __init__(self, name: str, base_path: Path, poll_s: float) -> None:
        """Prepare to watch.

        Args:
            name: of the model.
            base_path: holds one directory a version.
            poll_s: seconds between two looks at it.
        """
        self.name = name
        self._base_path, self._poll_s = base_path, poll_s
        self._status: dict[int, VersionStatus] = {}
        self._failed: dict[int, object] = {}
        self._serving: Servable | None = None
        self._told_empty = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> None:
        """Begin to watch, in a thread of its own."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop watching; what serves keeps serving. A load under way gets this long to end."""
        self._stop.set()
        self._thread.join(timeout_s)

    @contextmanager
    def servable(self, version: int | None = None) -> Iterator[Servable]:
        """The serving version, held until the block ends.

        Args:
            version: insist on this one.

        Raises:
            RequestError: NOT_FOUND if it does not serve.
        """
        with self._lock:
            servable = self._serving
            if servable is None or version not in (None, servable.version):
                wanted = "Latest" if version is None else "Specific"
                which = self.name if version is None else f"{self.name}, {version}"
                raise not_found(f"Servable not found for request: {wanted}({which})")
            # Entered under the lock, so that a swap cannot unload it in between.
            use = servable.in_use()
            use.__enter__()
        try:
            yield servable
        finally:
            use.__exit__(None, None, None)

    def status(self) -> dict[int, VersionStatus]:
        """State of every version seen so far, newest first."""
        with self._lock:
            return dict(sorted(self._status.items(), reverse=True))

    def _watch(self) -> None:
        while True:
            try:
                self._poll()
            except Exception:
                log.exception("Looking for versions failed; trying again")
            if self._stop.wait(self._poll_s):
                return

    def _poll(self) -> None:
        versions = list_versions(self._base_path)
        if not versions:
            if self._serving is None and not self._told_empty:
                log.warning("No versions of %s in %s yet; waiting", self.name, self._base_path)
            self._told_empty = True
            return
        self._told_empty = False
        for version in reversed(versions):
            if self._serving is not None and self._serving.version == version:
                return
            mark = _fingerprint(self._base_path / str(version))
            if self._failed.get(version) == mark:
                continue  # unchanged since it failed: the next older one is the best there is
            if self._swap_to(version):
                return
            self._failed[version] = mark

    def _swap_to(self, version: int) -> bool:
        """Load a version and make it serve; false if it cannot be loaded."""
        path = self._base_path / str(version)
        self._set(version, VersionStatus(State.LOADING))
        log.info("Loading %s version %d", self.name, version)
        try:
            new = Servable(path, version)
        except Exception as error:
            self._set(version, VersionStatus(State.END, UNKNOWN_ERROR, str(error)))
            log.error("%s version %d cannot be loaded: %s", self.name, version, error)
            return False
        with self._lock:
            old, self._serving = self._serving, new
            self._status[version] = VersionStatus(State.AVAILABLE)
            if old is not None:
                self._status[old.version] = VersionStatus(State.UNLOADING)
        log.info("%s version %d is AVAILABLE", self.name, version)
        if old is not None:
            old.wait_idle()
            self._set(old.version, VersionStatus(State.END))
            log.info("%s version %d is unloaded", self.name, old.version)
        return True

    def _set(self, version: int, status: VersionStatus) -> None:
        with self._lock:
            self._status[version] = status


def _fingerprint(path: Path) -> object:
    """Changes when files are added to or changed in a directory."""
    return sorted(
        (str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in path.rglob("*")
    )
