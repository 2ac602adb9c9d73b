"""A running front end in front of a scripted model server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
from fastapi.testclient import TestClient

from serving.client import Client
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import ScriptedServer, scripted_server
from ui.admission import Admission, Budget
from ui.analyse import Analyser
from ui.app import create_api
from ui.metrics import Metrics
from ui.parcels import Parcels
from ui.settings import Settings

#: Tests ask more often than people.
NO_RATE = ("--rate-limit", "0")

RunFrontEnd = Callable[..., AbstractContextManager[FrontEnd]]


@pytest.fixture(scope="session", autouse=True)
def _no_telemetry() -> Iterator[None]:
    """`gradio_client` calls home unless told not to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        yield


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
    _model_server.reset()


@pytest.fixture(scope="session")
def _front_end(_model_server: ScriptedServer, run_front_end: RunFrontEnd) -> Iterator[FrontEnd]:
    with run_front_end("--server", _model_server.address, "--timeout-s", "2", *NO_RATE) as running:
        yield running


@pytest.fixture
def front_end(_front_end: FrontEnd, model_server: ScriptedServer) -> FrontEnd:
    """A front end whose model server answers."""
    return _front_end


@pytest.fixture
def bare_api(model_server: ScriptedServer) -> Iterator[TestClient]:
    """The API in this process, where its insides can be tampered with."""
    settings = Settings(server=model_server.address, rate_limit="0")
    with Client(settings.server, model=settings.model, timeout_s=settings.timeout_s) as client:
        admission, budget = Admission(settings.running, settings.waiting), Budget(2**28)
        metrics = Metrics(admission, budget)
        analyser = Analyser(client, settings.model, metrics.hear)
        app = create_api(settings, analyser, admission, budget, metrics, Parcels(budget))
        with TestClient(app, raise_server_exceptions=False) as test_client:
            yield test_client


@pytest.fixture
def api(front_end: FrontEnd) -> httpx.Client:
    """A client of `front_end`."""
    return front_end.http
