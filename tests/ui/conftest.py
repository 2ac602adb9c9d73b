"""A running front end in front of a scripted model server."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest
import uvicorn

from tests.ui.scripted_server import ScriptedServer, scripted_server
from ui.app import create_app
from ui.settings import Settings

FrontEnd = Callable[[Settings], AbstractContextManager[httpx.Client]]

START_S = 60.0


@pytest.fixture(scope="session")
def front_end(free_port: Callable[[], int]) -> FrontEnd:
    """A context manager `front_end(settings)`: an HTTP client of a real server on these settings."""

    @contextmanager
    def run(settings: Settings) -> Iterator[httpx.Client]:
        port = free_port()
        config = uvicorn.Config(
            create_app(settings), port=port, log_level="error", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            deadline = time.monotonic() + START_S
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.02)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(START_S)

    return run


@pytest.fixture(scope="session")
def _model_server(free_port: Callable[[], int]) -> Iterator[ScriptedServer]:
    with scripted_server(free_port()) as server:
        yield server


@pytest.fixture
def model_server(_model_server: ScriptedServer) -> Iterator[ScriptedServer]:
    """The model server behind `api`; it answers unless the test says otherwise."""
    yield _model_server
    _model_server.release.set()
    _model_server.release = threading.Event()
    _model_server.behaviour = "answers"
    _model_server.in_distribution = True


@pytest.fixture(scope="session")
def _api(_model_server: ScriptedServer, front_end: FrontEnd) -> Iterator[httpx.Client]:
    with front_end(Settings(server=_model_server.address, timeout_s=2)) as client:
        yield client


@pytest.fixture
def api(_api: httpx.Client, model_server: ScriptedServer) -> httpx.Client:
    """A client of a front end whose model server answers."""
    return _api
