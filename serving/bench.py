"""How much of TensorFlow's own speed reaches a client: ratios, measured side by side in one run.

Machines are noisy and rates alone mean little. So the ways of calling take turns in short rounds, and
what is reported is the median over rounds of each rate divided by the reference's rate of that round.
"""

import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

from serving.client import Client
from serving.contract import IMAGE_SHAPE, SERVING_DEFAULT
from serving.errors import ServingError
from serving.settings import BenchSettings
from serving.versions import list_versions

#: Seconds of one round of one way of calling.
ROUND_S = 1.5
START_S = 120.0


@dataclass(frozen=True)
class Way:
    """One way of calling the model, and the one it is compared with."""

    name: str
    call: Callable[[np.ndarray], object]
    batch: int
    clients: int
    reference: str | None


def bench(settings: BenchSettings, console: Console) -> None:
    """Measure and print a table.

    Raises:
        ServingError: there is no version, or the server does not start.
    """
    versions = list_versions(settings.model_base_path)
    if not versions:
        raise ServingError(f"{settings.model_base_path} holds no version to measure.")
    path = settings.model_base_path / str(versions[-1])
    loaded = tf.saved_model.load(str(path))
    served = loaded.signatures[SERVING_DEFAULT]

    def in_process(images: np.ndarray) -> object:
        return served(images=tf.constant(images))["probability"].numpy()

    with ExitStack() as stack:
        grpc_port, rest_port = stack.enter_context(_server(settings))
        by_grpc = stack.enter_context(Client(f"127.0.0.1:{grpc_port}", timeout_s=60))
        by_rest = stack.enter_context(Client(f"http://127.0.0.1:{rest_port}", timeout_s=60))
        single, batched = "in process, batch 1", "in process, batch 8"
        ways = [
            Way(single, in_process, 1, 1, None),
            Way("gRPC, batch 1", by_grpc.predict, 1, 1, single),
            Way("gRPC, batch 1, 8 clients", by_grpc.predict, 1, 8, single),
            Way("REST, batch 1", by_rest.predict, 1, 1, "gRPC, batch 1"),
            Way("REST, batch 1, 8 clients", by_rest.predict, 1, 8, "gRPC, batch 1, 8 clients"),
            Way(batched, in_process, 8, 1, None),
            Way("gRPC, batch 8", by_grpc.predict, 8, 1, batched),
            Way("gRPC, batch 8, 8 clients", by_grpc.predict, 8, 8, batched),
        ]
        for way in ways:
            _rate(way, seconds=0.2)
        rounds = max(2, round(settings.seconds / (ROUND_S * len(ways))))
        rates: dict[str, list[float]] = {way.name: [] for way in ways}
        for _ in track(range(rounds), f"{rounds} rounds of {len(ways)} ways"):
            for way in ways:
                rates[way.name].append(_rate(way, ROUND_S))
    table = Table("way", "images/s", "compared with", "ratio (lowest to highest)")
    for way in ways:
        ratios = (
            [a / b for a, b in zip(rates[way.name], rates[way.reference], strict=True)]
            if way.reference
            else []
        )
        table.add_row(
            way.name,
            f"{statistics.median(rates[way.name]):.1f}",
            way.reference or "",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            if ratios
            else "",
        )
    console.print(f"{path}, {rounds} rounds")
    console.print(table)


def _rate(way: Way, seconds: float) -> float:
    """Images a second of one way, all its clients together."""
    shape = (way.batch, *IMAGE_SHAPE)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    counts = [0] * way.clients
    errors: list[Exception] = []
    end = time.perf_counter() + seconds

    def work(client: int) -> None:
        try:
            while time.perf_counter() < end and not errors:
                way.call(images)
                counts[client] += way.batch
        except Exception as error:  # a thread would swallow it, and a lower rate would be reported
            errors.append(error)

    begin = time.perf_counter()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(way.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.perf_counter() - begin)


@contextmanager
def _server(settings: BenchSettings) -> Iterator[tuple[int, int]]:
    """A local server in a process of its own; its gRPC and REST ports."""
    ports = _free_ports(2)
    command = [sys.executable, "-m", "serving", "run"]
    command += ["--model-base-path", str(settings.model_base_path)]
    command += ["--port", str(ports[0]), "--rest-api-port", str(ports[1])]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            with Client(f"127.0.0.1:{ports[0]}", timeout_s=5) as client:
                _wait(client, process)
            yield ports[0], ports[1]
        finally:
            process.terminate()


def _wait(client: Client, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if "AVAILABLE" in client.status().values():
                return
        except ServingError:
            pass
        time.sleep(0.2)
    raise ServingError("The local server did not start; try `python -m serving run` by itself.")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
