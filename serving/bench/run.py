"""The benchmark: every way of asking takes its turn in each of some rounds, so that ratios are fair.

Machines are noisy and rates alone mean little: a ratio is formed within a round, and its median over the
rounds is reported with the lowest and the highest.
"""

import os
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from data.imaging import prepare_scan, read_scan
from serving.bench.bfloat16 import accuracy, bfloat16
from serving.bench.figures import BATCH, Cell, Figures, Measured, percentiles_ms, saturation
from serving.bench.load import at_random, evenly, paced, saturate
from serving.bench.processes import (
    ModelServer,
    WebServer,
    local_server,
    original,
    page,
    tuned_batching,
)
from serving.bench.report import Memory, Report, Tail, write
from serving.bench.usage import usage
from serving.bench.ways import (
    BFLOAT16,
    GRPC,
    IN_PROCESS,
    ORIGINAL,
    PAGE,
    Kind,
    Way,
    by_grpc,
    by_rest,
    by_tensorflow_serving,
    by_upload,
    in_process,
    scans_in,
)
from serving.contract import SERVING_DEFAULT
from serving.errors import ServingError
from serving.settings import BenchSettings
from serving.versions import list_versions

#: Fewer say nothing of the noise; more than there is time for are not begun.
_LEAST_ROUNDS: Final = 2
_WARM_UP_S: Final = 0.1
#: Share of the saturated rate at which the tail is measured.
TAIL_LOAD: Final = 0.7
#: Requests under way at most in a paced load.
PACED_CLIENTS: Final = 64
#: Between ways that compute the same.
_AGREEMENT: Final = 1e-3


def bench(settings: BenchSettings, console: Console) -> Report:
    """Measure, write `bench.json`, `bench.md` and `bench.png`, print the tables.

    Raises:
        ServingError: there is no version, a server does not start, or two ways answer differently.
        ValueError: an address is not on this machine.
    """
    versions = list_versions(settings.model_base_path)
    if not versions:
        raise ServingError(f"{settings.model_base_path} holds no version to measure.")
    path = settings.model_base_path / str(versions[-1])
    batching = settings.batching_parameters_file or tuned_batching()
    scans = scans_in(settings.samples)
    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SERVING_DEFAULT]
    with ExitStack() as stack:
        console.print(f"Starting servers on {path}, {batching.name}")
        fleet = _start(stack, settings, batching)
        ways = _ways(settings, fleet, signature, scans[-1])
        _check_agreement(ways)
        measured = _measure(ways, settings, console)
        tails = _tails(ways, measured, settings, console)
        memory = fleet.memory()
    prepared = np.stack([prepare_scan(read_scan(scan)) for scan in scans])
    report = Report(
        model=str(path),
        batching=batching.name,
        clients=settings.clients,
        measured=measured,
        tails=tails,
        memory=memory,
        bfloat16=accuracy(signature, prepared),
    )
    write(report, settings.out, console)
    return report


@dataclass(frozen=True)
class _Fleet:
    """Servers and the pages before them, by whether they merge requests; the original's way."""

    servers: dict[bool, ModelServer]
    pages: dict[bool, WebServer]
    original: WebServer | None

    def memory(self) -> list[Memory]:
        own = usage(os.getpid(), descendants=False).resident
        found = [Memory("TensorFlow in process, and the load", own)]
        for merges, server in self.servers.items():
            name = f"local server, batching {'on' if merges else 'off'}"
            found.append(Memory(name, usage(server.pid).resident))
        found.append(Memory("page", usage(self.pages[False].pid).resident))
        if self.original:
            found.append(Memory("original", usage(self.original.pid).resident))
        return found


def _start(stack: ExitStack, settings: BenchSettings, batching: Path) -> _Fleet:
    """All at once, since each takes seconds; returns when all answer."""
    base, model = settings.model_base_path, settings.model
    servers = {
        merges: local_server(stack, base, model=model, batching=batching if merges else None)
        for merges in (False, True)
    }
    pages = {merges: page(stack, server, model) for merges, server in servers.items()}
    web = original(stack) if settings.original else None
    for program in (*servers.values(), *pages.values(), *([web] if web else [])):
        program.wait_ready()
    return _Fleet(servers, pages, web)


def _ways(settings: BenchSettings, fleet: _Fleet, signature: Any, scan: Path) -> list[Way]:
    payload, model = read_scan(scan), settings.model
    one = prepare_scan(payload)[None]
    several = np.repeat(one, BATCH, axis=0)
    ways = [in_process(IN_PROCESS, signature, images) for images in (one, several)]
    ways += [in_process(BFLOAT16, signature, images, around=bfloat16) for images in (one, several)]
    for merges, server in fleet.servers.items():
        ways.append(by_grpc(server, model, one, batching=merges))
        if not merges:
            ways.append(by_grpc(server, model, several, batching=merges))
        ways.append(by_rest(server, model, one, batching=merges))
        before = fleet.pages[merges]
        ways.append(by_upload(PAGE, before, payload, (server.pid,), batching=merges))
    if fleet.original:
        ways.append(by_upload(ORIGINAL, fleet.original, payload, (), batching=False))
    if settings.tfs:
        ways.append(by_tensorflow_serving(settings.tfs, model, one))
    return ways


def _cells(way: Way, clients: tuple[int, int, int]) -> list[Cell]:
    """Large requests need few clients to occupy the cores, and bfloat16 is a question of cost."""
    if way.kind.name == BFLOAT16:
        return [Cell(way.kind, clients[0])]
    return [Cell(way.kind, count) for count in clients[: 2 if way.kind.images > 1 else 3]]


def _check_agreement(ways: list[Way]) -> None:
    """Ask each once: all answer the same scan alike, and what is done only once is done now."""
    expected = None
    for way in ways:
        with way.around():
            exchange = way.connect()
            try:
                answer = exchange.send()
            finally:
                exchange.close()
        if way.read is None or way.kind.name == BFLOAT16:
            continue
        probability = way.read(answer)
        expected = probability if expected is None else expected
        if abs(probability - expected) > _AGREEMENT:
            raise ServingError(
                f"{way.kind.name} answers {probability:.6f} where TensorFlow in process answers "
                f"{expected:.6f}: it serves another model."
            )


def _measure(ways: list[Way], settings: BenchSettings, console: Console) -> Measured:
    turns = [(way, cell) for way in ways for cell in _cells(way, settings.clients)]
    measured = {cell: Figures() for _, cell in turns}
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("warming up", total=len(turns))
        for way in ways:
            with way.around():
                saturate(way.connect, settings.clients[0], _WARM_UP_S)
        begin, rounds = time.perf_counter(), 0
        while rounds < _LEAST_ROUNDS or (
            (time.perf_counter() - begin) * (rounds + 1) / rounds <= settings.seconds
        ):
            rounds += 1
            progress.reset(task, total=len(turns))
            for way, cell in turns:
                named = f"round {rounds}: {way.kind.name}, {cell.clients} at once"
                progress.update(task, description=named)
                measured[cell].add(*_turn(way, cell.clients, settings.turn_s))
                progress.advance(task)
            rate = statistics.median(measured[turns[0][1]].rates)
            progress.console.print(
                f"Round {rounds} done after {time.perf_counter() - begin:.0f} s of "
                f"{settings.seconds:g}; in process {rate:.1f} images/s"
            )
    return measured


def _turn(way: Way, clients: int, seconds: float) -> tuple[Any, int, float]:
    """The load, images a request, CPU time that it cost."""
    with way.around():
        before = way.cost()
        load = saturate(way.connect, clients, seconds)
        return load, way.kind.images, way.cost() - before


def _tails(
    ways: list[Way], measured: Measured, settings: BenchSettings, console: Console
) -> list[Tail]:
    """Latencies of gRPC at a share of the rate that it was found to manage."""
    tails = []
    for batching in (False, True):
        kind = Kind(GRPC, batching)
        (way,) = (one for one in ways if one.kind == kind)
        rate = TAIL_LOAD * saturation(measured, kind)
        for name, schedule in (("evenly spaced", evenly), ("at random", at_random)):
            console.print(
                f"Tail: {rate:.0f} requests/s {name}, batching {'on' if batching else 'off'}"
            )
            load = paced(way.connect, PACED_CLIENTS, schedule(rate, settings.tail_s))
            figures = percentiles_ms(load.latencies)
            tails.append(
                Tail(batching, name, rate, len(load.latencies), figures, len(load.failures))
            )
    return tails
