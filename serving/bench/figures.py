"""What was measured, and the ratios that it is judged by."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from serving.bench.load import Load
from serving.bench.ways import (
    BFLOAT16,
    GRPC,
    IN_PROCESS,
    ORIGINAL,
    PAGE,
    REST,
    TENSORFLOW_SERVING,
    Kind,
)

#: Images in the larger requests, and in a batch that servers on two cores merge.
BATCH = 8


class Cell(NamedTuple):
    """A way of asking, and the number of clients that ask at once."""

    kind: Kind
    clients: int


@dataclass
class Figures:
    """Of one cell, a value for each round, or all rounds together."""

    rates: list[float] = field(default_factory=list)  # images a second
    latencies: list[float] = field(default_factory=list)  # seconds
    cpu_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, load: Load, images: int, cpu_s: float) -> None:
        """Take in one turn of requests with that many images each."""
        self.rates.append(load.rate * images)
        self.latencies += load.latencies.tolist()
        self.cpu_s += cpu_s
        self.failures += load.failures

    def percentiles_ms(self) -> tuple[float, float, float]:
        """Half, 95 and 99 of 100 answers come within these; NaN without an answer."""
        return percentiles_ms(np.array(self.latencies))


@dataclass(frozen=True)
class Ratio:
    """One comparison, and its value in each round."""

    what: str
    values: tuple[float, ...]
    target: float | None

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)


Measured = dict[Cell, Figures]


def percentiles_ms(seconds: np.ndarray) -> tuple[float, float, float]:
    """50th, 95th and 99th percentile in milliseconds; NaN of nothing."""
    if not len(seconds):
        return (float("nan"),) * 3
    p50, p95, p99 = np.percentile(1000.0 * seconds, (50, 95, 99))
    return float(p50), float(p95), float(p99)


def saturation(measured: Measured, kind: Kind) -> float:
    """The highest median rate of a way, whatever number of clients it takes."""
    return max(statistics.median(one.rates) for cell, one in measured.items() if cell.kind == kind)


def ratios(measured: Measured, clients: tuple[int, int, int]) -> list[Ratio]:
    """All comparisons for which both sides were measured, round by round."""
    found = []
    for what, of, by, target in _comparisons(*clients):
        if of in measured and by in measured:
            pairs = zip(measured[of].rates, measured[by].rates, strict=True)
            # A side may have had no answer at all, and no ratio then.
            values = tuple(one / other for one, other in pairs if other)
            if values:
                found.append(Ratio(what, values, target))
    return found


def _comparisons(one: int, some: int, many: int) -> Iterator[tuple[str, Cell, Cell, float | None]]:
    """Name, cell, the cell it is divided by, target of DESIGN section 6 if it has one."""
    single, merged = Kind(GRPC), Kind(GRPC, batching=True)
    direct, direct_8 = Kind(IN_PROCESS), Kind(IN_PROCESS, images=BATCH)
    for clients, target in ((one, 0.90), (some, 0.95), (many, 0.95)):
        yield (
            f"gRPC : in process, {_plural(clients)}",
            Cell(single, clients),
            Cell(direct, clients),
            target,
        )
    for clients, target in ((one, 0.90), (some, 0.95)):
        yield (
            f"gRPC : in process, {BATCH} images a request, {_plural(clients)}",
            Cell(Kind(GRPC, images=BATCH), clients),
            Cell(direct_8, clients),
            target,
        )
    yield (
        f"gRPC with batching, {_plural(many)} : in process in batches of {BATCH}",
        Cell(merged, many),
        Cell(direct_8, some),
        0.95,
    )
    yield (
        f"gRPC with batching, {_plural(many)} : {_plural(one)}",
        Cell(merged, many),
        Cell(merged, one),
        1.5,
    )
    for clients in (one, some, many):
        what = f"gRPC, batching on : off, {_plural(clients)}"
        yield what, Cell(merged, clients), Cell(single, clients), None
    for batching in (False, True):
        suffix = ", batching" if batching else ""
        for clients in (one, some, many):
            yield (
                f"REST : gRPC, {_plural(clients)}{suffix}",
                Cell(Kind(REST, batching), clients),
                Cell(Kind(GRPC, batching), clients),
                0.85,
            )
    for clients in (one, some, many):
        what = f"page : gRPC, {_plural(clients)}"
        yield what, Cell(Kind(PAGE), clients), Cell(single, clients), None
    for clients in (one, some, many):
        what = f"page : original, {_plural(clients)}"
        yield what, Cell(Kind(PAGE), clients), Cell(Kind(ORIGINAL), clients), None
    for images, usual in ((1, direct), (BATCH, direct_8)):
        what = f"bfloat16 : float32 in process, batch {images}"
        yield what, Cell(Kind(BFLOAT16, images=images), one), Cell(usual, one), None
    for clients, target in ((one, 0.90), (some, 0.95), (many, 0.95)):
        yield (
            f"gRPC : TensorFlow Serving, {_plural(clients)}",
            Cell(single, clients),
            Cell(Kind(TENSORFLOW_SERVING), clients),
            target,
        )


def _plural(clients: int) -> str:
    return "one client" if clients == 1 else f"{clients} clients"
