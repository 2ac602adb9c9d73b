"""Counts and latencies of the local server, under TensorFlow Serving's names, as Prometheus text."""

import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

Labels = tuple[str, ...]


def _exponential(scale: float, growth: float, count: int) -> list[float]:
    return [scale * growth**i for i in range(count)]


def microseconds_since(begin: float) -> int:
    """From a moment of `time.perf_counter()` until now."""
    return int(1e6 * (time.perf_counter() - begin))


class Counter:
    """A number for each combination of labels that only grows."""

    def __init__(self, name: str, *labels: str) -> None:
        self._name, self._labels = name, labels
        self._values: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, *labels: str, by: int = 1) -> None:
        """Count."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + by

    def lines(self) -> list[str]:
        """The text of this metric."""
        with self._lock:
            values = sorted(self._values.items())
        rows = [f"{self._name}{_braces(self._labels, one)} {value}" for one, value in values]
        return [f"# TYPE {self._name} counter", *rows]


class Histogram:
    """How often values fell into each bucket, for each combination of labels."""

    def __init__(self, name: str, *labels: str, bounds: Sequence[float]) -> None:
        self._name, self._labels, self._bounds = name, labels, list(bounds)
        self._cells: dict[Labels, tuple[list[int], list[float]]] = {}
        self._lock = threading.Lock()

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            cell = self._cells.get(labels)
            if cell is None:
                cell = self._cells[labels] = ([0] * (len(self._bounds) + 1), [0.0])
            cell[0][bucket] += 1
            cell[1][0] += value

    def lines(self) -> list[str]:
        """The text of this metric."""
        rows = [f"# TYPE {self._name} histogram"]
        with self._lock:
            cells = sorted(
                (one, list(counts), total[0]) for one, (counts, total) in self._cells.items()
            )
        limits = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for labels, counts, total in cells:
            seen = 0
            for limit, count in zip(limits, counts, strict=True):
                seen += count
                braces = _braces((*self._labels, "le"), (*labels, limit))
                rows.append(f"{self._name}_bucket{braces} {seen}")
            braces = _braces(self._labels, labels)
            rows += [f"{self._name}_sum{braces} {total:.15g}", f"{self._name}_count{braces} {seen}"]
        return rows


#: Microseconds, 10 to about 20 minutes.
_LATENCY: Final = _exponential(10, 1.8, 33)


class Metrics:
    """What one server counts; latencies in microseconds."""

    def __init__(self) -> None:
        serving = ":tensorflow:serving:"
        # As TensorFlow Serving has it: inference over gRPC, and everything over REST.
        self.requests = Counter(serving + "request_count", "model_name", "status")
        # Of requests that were answered with success.
        self.request_latency = Histogram(
            serving + "request_latency", "model_name", "API", "entrypoint", bounds=_LATENCY
        )
        # Of the graph, with the wait for a batch.
        self.runtime_latency = Histogram(
            serving + "runtime_latency", "model_name", "API", "runtime", bounds=_LATENCY
        )
        self.warmup_latency = Histogram(
            serving + "model_warmup_latency", "model_path", "status", bounds=_LATENCY
        )
        self.warmup_records = Counter(serving + "model_warmup_records_read", "model_path")
        loading = ":tensorflow:cc:saved_model:"
        self.loads = Counter(loading + "load_attempt_count", "model_path", "status")
        self.load_latency = Counter(loading + "load_latency", "model_path")
        self.queuing_latency = Histogram(
            serving + "batching_session:queuing_latency",
            "thread_pool_name",
            bounds=_exponential(100, 1.2, 52),
        )
        self.batches = Counter(serving + "batching_session:wrapped_run_count")
        self.batch_sizes = Counter(
            serving + "batching:processed_batch_size_v2", "model_name", "batch_size"
        )
        self.padding = Histogram(
            serving + "batching:padding_size_v2",
            "model_name",
            "execution_batch_size",
            bounds=_exponential(1, 2, 14),
        )

    def text(self) -> str:
        """The page of metrics."""
        each = sorted(vars(self).values(), key=lambda metric: metric._name)
        return "\n".join(line for metric in each for line in metric.lines()) + "\n"


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = ",".join(f'{a}="{_escaped(b)}"' for a, b in zip(names, values, strict=True))
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
