"""A running front end in front of a scripted model server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest

from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import VERSION, ScriptedServer, scripted_server

RunFrontEnd = Callable[..., AbstractContextManager[FrontEnd]]


@pytest.fixture(scope="session")
def run_front_end(
    free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> RunFrontEnd:
    """A context manager `run_front_end(*flags)`."""

    def run(*flags: str) -> AbstractContextManager[FrontEnd]:
        log = tmp_path_factory.mktemp("front_end") / "log.txt"
        return running_front_end(free_port(), log, *flags)

    return run


@pytest.fixture(scope="session")
def _model_server(free_port: Callable[[], int]) -> Iterator[ScriptedServer]:
    with scripted_server(free_port()) as server:
        yield server


@pytest.fixture
def model_server(_model_server: ScriptedServer) -> Iterator[ScriptedServer]:
    """The model server behind `front_end`; it answers unless the test says otherwise."""
    yield _model_server
    _model_server.release.set()
    _model_server.release = threading.Event()
    _model_server.behaviour = "answers"
    _model_server.in_distribution, _model_server.familiar_up_to = True, 1.0
    _model_server.version = VERSION
    _model_server.swap_after = _model_server.hang_after = None
    _model_server.batches.clear()


@pytest.fixture(scope="session")
def _front_end(_model_server: ScriptedServer, run_front_end: RunFrontEnd) -> Iterator[FrontEnd]:
    with run_front_end("--server", _model_server.address, "--timeout-s", "2") as running:
        yield running


@pytest.fixture
def front_end(_front_end: FrontEnd, model_server: ScriptedServer) -> FrontEnd:
    """A front end whose model server answers."""
    return _front_end


@pytest.fixture
def api(front_end: FrontEnd) -> httpx.Client:
    """A client of `front_end`."""
    return front_end.http
