"""The real local server is killed and stopped under the real page."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import RunningServer, Serve, eventually
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import error_of, send


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_a_server_that_is_stopped_costs_no_more_than_the_deadline_and_no_thread(
    local_server: RunningServer, run_front_end: RunFrontEnd, samples: dict[str, list[Path]]
) -> None:
    scan = samples["yes"][0].read_bytes()
    with run_front_end("--server", local_server.grpc, "--timeout-s", "2", *NO_RATE) as page:
        assert send(page.http, scan).status_code == 200
        local_server.process.send_signal(signal.SIGSTOP)
        try:
            assert error_of(send(page.http, scan)) == (504, "deadline_exceeded")
            before = _threads(page.pid)
            for _ in range(3):
                assert error_of(send(page.http, scan)) == (504, "deadline_exceeded")
            assert _threads(page.pid) <= before + 1
        finally:
            local_server.process.send_signal(signal.SIGCONT)
        eventually(lambda: send(page.http, scan).status_code == 200, "it answers again")


def test_a_server_killed_while_asked_is_told_and_found_again(
    serve: Serve,
    models: Path,
    run_front_end: RunFrontEnd,
    samples: dict[str, list[Path]],
) -> None:
    scan = samples["yes"][0].read_bytes()
    with serve(models) as server, run_front_end("--server", server.grpc, *NO_RATE) as page:
        assert send(page.http, scan).status_code == 200
        server.process.send_signal(signal.SIGSTOP)  # so that the question is under way
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(send, page.http, scan)
            eventually(lambda: _running(page) == 1, "it is asked")
            server.process.kill()
            assert error_of(asked.result()) == (503, "server_unavailable")
        server.process.wait()
        assert error_of(page.http.get("/readyz")) == (503, "server_unavailable")
        with subprocess.Popen(server.process.args) as again:
            try:
                eventually(lambda: send(page.http, scan).status_code == 200, "it is found again")
            finally:
                again.terminate()


def _running(page: FrontEnd) -> float:
    lines = page.http.get("/metrics").text.splitlines()
    return next(float(x.split()[1]) for x in lines if x.startswith("brain_tumor_ui_running "))
