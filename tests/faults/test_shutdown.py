"""SIGTERM while an analysis runs: nobody new is let in, and the one that is in gets its answer."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.conftest import eventually
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import DIM, picture, send
from tests.ui.scripted_server import ScriptedServer


def test_an_analysis_that_runs_gets_its_answer(
    run_front_end: RunFrontEnd, model_server: ScriptedServer
) -> None:
    model_server.behaviour = "hangs"
    with (
        run_front_end("--server", model_server.address, *NO_RATE) as page,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(send, page.http, picture(DIM))
        eventually(lambda: model_server.hung == 1, "it is asked")
        os.kill(page.pid, signal.SIGTERM)
        eventually(lambda: not _listens(page), "nobody new is let in")
        assert not asked.done()
        model_server.release.set()
        assert asked.result().json()["label"] == "no_tumor"
    assert "Traceback" not in page.log.read_text()


def _listens(page: FrontEnd) -> bool:
    url = httpx.URL(page.address)
    try:
        socket.create_connection((url.host, url.port or 80), 60).close()
    except ConnectionRefusedError:
        return False
    return True
