"""Programs that are measured, each in a process of its own, ended with the block that started them."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import serving
from serving.client import Client
from serving.errors import ServingError

CONFIGS: Final = Path(serving.__file__).resolve().parent / "config"
_ROOT: Final = CONFIGS.parent.parent
_START_S: Final = 180.0
_STOP_S: Final = 20.0
_LOOK_S: Final = 0.2
#: Cores that `serving/config` has batching parameters for.
_TUNED: Final = (2, 8, 32)


@dataclass(frozen=True)
class Program:
    """A program that starts, or runs."""

    name: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    ready: Callable[[], bool]

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid

    def wait_ready(self) -> None:
        """Return once it answers.

        Raises:
            ServingError: it ended, or needs too long; with the last line that it wrote.
        """
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self.process.poll() is None:
            if self.ready():
                return
            time.sleep(_LOOK_S)
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing")
        raise ServingError(f"The {self.name} did not start; the last it wrote is: {last}")


@dataclass(frozen=True)
class ModelServer(Program):
    """A local server and its addresses, `HOST:PORT` both."""

    grpc: str
    rest: str


@dataclass(frozen=True)
class WebServer(Program):
    """A program that speaks HTTP, and its `HOST:PORT`."""

    address: str


def tuned_batching(cores: int | None = None) -> Path:
    """The shipped batching parameters for that many cores, by default those there are."""
    cores = cores or os.cpu_count() or 1
    fitting = [size for size in _TUNED if size <= cores] or [_TUNED[0]]
    return CONFIGS / f"batching-{fitting[-1]}-cores.config"


def local_server(
    stack: ExitStack, base: Path, *, model: str, batching: Path | None, flags: tuple[str, ...] = ()
) -> ModelServer:
    """Start `python -m serving run`, merging requests if parameters for it are given."""
    ports = _free_ports(2)
    grpc, rest = (f"127.0.0.1:{port}" for port in ports)
    command = ["serving", "run", "--model_name", model, "--model_base_path", str(base.resolve())]
    command += ["--port", str(ports[0]), "--rest_api_port", str(ports[1]), *flags]
    if batching:
        command += ["--enable_batching", "--batching_parameters_file", str(batching.resolve())]
    client = stack.enter_context(Client(grpc, model=model, timeout_s=5, retries=0))

    def ready() -> bool:
        try:
            return "AVAILABLE" in client.status().values()
        except ServingError:
            return False

    process, log = stack.enter_context(_running(command))
    return ModelServer("local server", process, log, ready, grpc, rest)


def page(stack: ExitStack, server: ModelServer, model: str) -> WebServer:
    """Start `python -m ui` before a model server."""
    (port,) = _free_ports(1)
    command = ["ui", "--server", server.grpc, "--model", model, "--port", str(port)]
    command += ["--rate-limit", "0"]  # all the load comes from one address
    return _web_server(stack, "page", command, port, "/readyz")


def original(stack: ExitStack) -> WebServer:
    """Start the original's way, see `serving.bench.original`."""
    (port,) = _free_ports(1)
    return _web_server(stack, "original", ["serving.bench.original", str(port)], port, "/")


def _web_server(stack: ExitStack, name: str, command: list[str], port: int, path: str) -> WebServer:
    def ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    process, log = stack.enter_context(_running(command))
    return WebServer(name, process, log, ready, f"127.0.0.1:{port}")


@contextmanager
def _running(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    with TemporaryFile() as log:
        line = [sys.executable, "-m", *command]
        process = subprocess.Popen(line, cwd=_ROOT, stdout=log, stderr=log)  # noqa: S603 our own program
        try:
            yield process, log
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
