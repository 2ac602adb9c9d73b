"""Fixtures shared by every room's tests: sample scans, free ports, and a real local server."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
#: Generous: where a training has the cores, starting TensorFlow takes a minute.
START_S = 240.0
#: Generous too: an open page of Gradio is drained for five seconds.
STOP_S = 60.0


def eventually(condition: Callable[[], object], what: str, timeout_s: float = START_S) -> None:
    """Wait until a condition holds; fail if it does not come about."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"In {timeout_s:g} s it did not come about that {what}.")
        time.sleep(0.05)


def end(process: subprocess.Popen) -> None:
    """SIGTERM for a process, and no mercy if it does not obey."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def ended_afterwards(process: subprocess.Popen) -> Iterator[None]:
    """End a process at the end of the block."""
    try:
        yield
    finally:
        end(process)


def free_tcp_port() -> int:
    """A TCP port which was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class RunningServer:
    """A `python -m serving run` process and its addresses."""

    process: subprocess.Popen
    log: Path
    grpc: str  # "127.0.0.1:PORT"
    rest: str  # "http://127.0.0.1:PORT"
    model_name: str

    def versions(self) -> dict[int, str]:
        """State by version, as the status endpoint tells it now; empty while nothing answers."""
        try:
            answer = requests.get(f"{self.rest}/v1/models/{self.model_name}", timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            return {}
        rows = answer.json().get("model_version_status", [])
        return {int(row["version"]): row["state"] for row in rows}

    def wait_for(self, version: int | None = None, timeout_s: float = START_S) -> int:
        """Wait until a version (any, or the given one) is AVAILABLE, and return it."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the server ended with code {self.process.returncode}:\n{self.log.read_text()}"
                )
            ready = [v for v, state in self.versions().items() if state == "AVAILABLE"]
            if ready and (version is None or version in ready):
                return max(ready)
            time.sleep(0.1)
        raise TimeoutError(f"no version became AVAILABLE:\n{self.log.read_text()}")


Serve = Callable[..., AbstractContextManager[RunningServer]]


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that returns a TCP port which was free a moment ago."""
    return free_tcp_port


@pytest.fixture(scope="session")
def samples() -> dict[str, list[Path]]:
    """The cleared sample scans by class folder: "yes" holds tumours, "no" normal scans."""
    folder = ROOT / "data" / "samples"
    return {
        label: sorted(path for path in (folder / label).iterdir() if path.is_file())
        for label in ("yes", "no")
    }


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """A context manager `serve(base_path, *flags)` that runs a local server, SIGTERM at its end."""

    @contextmanager
    def run(
        base_path: Path, *flags: str, model_name: str = "brain_tumor", wait: bool = True
    ) -> Iterator[RunningServer]:
        log = tmp_path_factory.mktemp("server") / "log.txt"
        grpc_port, rest_port = free_tcp_port(), free_tcp_port()
        command = [sys.executable, "-m", "serving", "run"]
        command += ["--port", str(grpc_port), "--rest_api_port", str(rest_port)]
        command += ["--model_name", model_name, "--model_base_path", str(base_path), *flags]
        with (
            log.open("wb") as output,
            subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process,
            ended_afterwards(process),
        ):
            server = RunningServer(
                process,
                log,
                f"127.0.0.1:{grpc_port}",
                f"http://127.0.0.1:{rest_port}",
                model_name,
            )
            if wait:
                server.wait_for()
            yield server

    return run


@pytest.fixture(scope="session")
def models() -> Path:
    """Base path of the shipped model, or of the one that `BRAIN_TUMOR_MODELS` points at."""
    return Path(os.environ.get("BRAIN_TUMOR_MODELS", ROOT / "models" / "brain_tumor"))


@pytest.fixture(scope="session")
def local_server(serve: Serve, models: Path) -> Iterator[RunningServer]:
    """A local server on the newest version of `models`."""
    with serve(models) as server:
        yield server
