"""Requests of several clients merged into one run of the graph, on TensorFlow Serving's parameters."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import grpc
import numpy as np

from serving.local.errors import RequestError, invalid, too_late
from serving.local.metrics import Metrics
from serving.tensors import Arrays

Run = Callable[[Arrays], Arrays]


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """TensorFlow Serving's parameters of the same names, with its defaults.

    Raises:
        ValueError: one is out of range, or `allowed_batch_sizes` do not grow up to `max_batch_size`.
    """

    #: Rows that are run at a time at most; a request of more is refused.
    max_batch_size: int = 1000
    #: How long a batch waits for company; none, if a thread is free.
    batch_timeout_micros: int = 0
    #: Batches of one kind that may wait; beyond them requests are refused.
    max_enqueued_batches: int = 10
    #: Batches that are run at a time.
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    thread_pool_name: str = "model_server_batch_threads"
    #: Batches are filled up to one of these sizes; none means any size.
    allowed_batch_sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if self.batch_timeout_micros < 0:
            raise ValueError("batch_timeout_micros must not be negative")
        sizes = list(self.allowed_batch_sizes)
        if sizes and (sizes[0] < 1 or sizes != sorted(set(sizes))):
            raise ValueError("allowed_batch_sizes must be positive and grow")
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError("the last of allowed_batch_sizes must equal max_batch_size")

    def padded(self, rows: int) -> int:
        """The size at which that many rows are run."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


class _Task:
    """One request's rows, and what became of them."""

    __slots__ = ("deadline", "done", "enqueued", "error", "inputs", "outputs", "rows")

    def __init__(self, inputs: Arrays, rows: int, deadline: float | None) -> None:
        self.inputs, self.rows, self.deadline = inputs, rows, deadline
        self.enqueued = time.monotonic()
        self.done = threading.Event()
        self.outputs: Arrays | None = None
        self.error: Exception | None = None

    def expired(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


@dataclass
class _Batch:
    model_name: str
    run: Run
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0


class BatchScheduler:
    """Merges requests of one kind and runs them on a few threads.

    Every kind has a queue of batches, of which the last is open. A batch is run once a thread is free
    and it is full, another stands behind it, or its first request has waited long enough; kinds take
    turns. Where a merged batch fails, its requests are run one by one, so that each gets its own
    answer or its own error.
    """

    def __init__(self, parameters: BatchingParameters, metrics: Metrics) -> None:
        self.parameters, self._metrics = parameters, metrics
        self._timeout_s = parameters.batch_timeout_micros / 1e6
        self._queues: dict[Hashable, deque[_Batch]] = {}
        self._condition = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{i}", daemon=True)
            for i in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self, kind: Hashable, run: Run, inputs: Arrays, *, model_name: str, deadline: float | None
    ) -> Arrays:
        """Wait for the answer to one request.

        Args:
            kind: requests of equal kind may be merged: same version, signature and shapes.
            run: the graph; from any number of rows to as many.
            inputs: by name, each with the same number of rows, one at least.
            model_name: for the metrics.
            deadline: of `time.monotonic()`; a request that waits past it is not run.

        Raises:
            RequestError: INVALID_ARGUMENT for more than `max_batch_size` rows, RESOURCE_EXHAUSTED
                with the queue full, DEADLINE_EXCEEDED, or whatever `run` raises for this request.
        """
        task = _Task(inputs, len(next(iter(inputs.values()))), deadline)
        self._enqueue(kind, task, run, model_name)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not task.done.wait(left):
            raise too_late()
        if task.error is not None:
            raise task.error
        assert task.outputs is not None  # noqa: S101 - done without an error
        return task.outputs

    def stop(self, timeout_s: float) -> None:
        """Run what is queued, then end the threads; a run under way gets this long to end."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _enqueue(self, kind: Hashable, task: _Task, run: Run, model_name: str) -> None:
        limit = self.parameters.max_batch_size
        if task.rows > limit:
            raise invalid(f"Task size {task.rows} is larger than maximum input batch size {limit}")
        with self._condition:
            if self._stopping:
                raise RequestError(grpc.StatusCode.UNAVAILABLE, "The server is ending")
            queue = self._queues.get(kind)
            if queue is None:
                queue = self._queues[kind] = deque()
            if not queue or queue[-1].rows + task.rows > limit:
                if len(queue) >= self.parameters.max_enqueued_batches:
                    raise RequestError(
                        grpc.StatusCode.RESOURCE_EXHAUSTED,
                        "The batch scheduling queue to which this task was submitted is full",
                    )
                queue.append(_Batch(model_name, run))
            queue[-1].tasks.append(task)
            queue[-1].rows += task.rows
            self._condition.notify()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            self._process(batch)

    def _next(self) -> _Batch | None:
        """Wait for a batch that may be run; None to end."""
        with self._condition:
            while True:
                now, wait = time.monotonic(), None
                for kind, queue in self._queues.items():
                    first = queue[0]
                    left = first.tasks[0].enqueued + self._timeout_s - now
                    full = first.rows >= self.parameters.max_batch_size or len(queue) > 1
                    if full or left <= 0 or self._stopping:
                        queue.popleft()
                        del self._queues[kind]
                        if queue:  # to the end, so that kinds take turns
                            self._queues[kind] = queue
                        if self._queues:  # this thread will be busy: another must watch the clock
                            self._condition.notify()
                        return first
                    wait = left if wait is None else min(wait, left)
                if self._stopping:
                    return None
                self._condition.wait(wait)

    def _process(self, batch: _Batch) -> None:
        tasks = []
        for task in batch.tasks:
            waited = 1e6 * (time.monotonic() - task.enqueued)
            self._metrics.queuing_latency.observe(waited, self.parameters.thread_pool_name)
            if task.expired():
                _finish(task, error=too_late())
            else:
                tasks.append(task)
        if not tasks:
            return
        try:
            self._execute(batch, tasks)
        except Exception as error:
            if len(tasks) == 1:
                _finish(tasks[0], error=error)
                return
            for task in tasks:
                try:
                    self._execute(batch, [task])
                except Exception as own:
                    _finish(task, error=own)

    def _execute(self, batch: _Batch, tasks: list[_Task]) -> None:
        """Run some requests as one and hand out the answers, as views into the whole."""
        rows = sum(task.rows for task in tasks)
        size = self.parameters.padded(rows)
        outputs = batch.run(_merged(tasks, rows, size))
        self._metrics.batches.add()
        self._metrics.batch_sizes.add(batch.model_name, str(size))
        self._metrics.padding.observe(size - rows, batch.model_name, str(size))
        if any(array.ndim < 1 or len(array) != size for array in outputs.values()):
            raise RequestError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                "sizes of the input tensors",
            )
        begin = 0
        for task in tasks:
            end = begin + task.rows
            _finish(task, {name: array[begin:end] for name, array in outputs.items()})
            begin = end


def _merged(tasks: list[_Task], rows: int, size: int) -> Arrays:
    """The rows of all tasks one after another, filled up with copies of the first."""
    if len(tasks) == 1 and size == rows:
        return tasks[0].inputs
    merged = {}
    for name, first in tasks[0].inputs.items():
        whole = merged[name] = np.empty((size, *first.shape[1:]), first.dtype)
        np.concatenate([task.inputs[name] for task in tasks], out=whole[:rows])
        whole[rows:] = whole[0]
    return merged


def _finish(task: _Task, outputs: Arrays | None = None, error: Exception | None = None) -> None:
    task.outputs, task.error = outputs, error
    task.done.set()
