"""Load from a number of clients at once: bounded in requests and in time, and confined to this machine."""

import ipaddress
import itertools
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.errors import ServingError

#: No single load sends more, however quick the answers are.
MAX_REQUESTS: Final = 1_000_000
#: After a failure, so that a server which refuses at once is not asked in a busy loop.
_PAUSE_S: Final = 0.02

Seconds = NDArray[np.float64]


class Exchange(Protocol):
    """One client's connection."""

    def send(self) -> Any:
        """Send one request and wait for its answer; raises ServingError where there is none."""

    def close(self) -> None:
        """Give the connection back."""


@dataclass(frozen=True)
class Load:
    """What became of a load.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: float64 `[N]`, seconds to each answer.
        failures: what was said instead of an answer, once for each that failed.
    """

    seconds: float
    latencies: Seconds
    failures: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


@dataclass
class _Tally:
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def count(self, exchange: Exchange, since: float) -> None:
        try:
            exchange.send()
        except ServingError as error:
            self.failures.append(str(error))
            time.sleep(_PAUSE_S)
        else:
            self.latencies.append(time.perf_counter() - since)


def saturate(connect: Callable[[], Exchange], clients: int, seconds: float) -> Load:
    """Clients that each ask again as soon as they are answered.

    Each asks once at least. What is under way when the time is over is waited for and counted, its time
    as well: leaving it out would favour whoever answers late.

    Args:
        connect: makes a client's connection.
        clients: how many at once.
        seconds: how long new requests are sent.

    Raises:
        ServingError: a connection cannot be made.
    """
    numbers = itertools.count()  # shared: its `next` is atomic

    def work(exchange: Exchange, begin: float) -> _Tally:
        tally, now = _Tally(), begin
        while now < begin + seconds and next(numbers) < MAX_REQUESTS:
            tally.count(exchange, time.perf_counter())
            now = time.perf_counter()
        return tally

    return _together(connect, clients, work)


def paced(
    connect: Callable[[], Exchange],
    clients: int,
    arrivals: Seconds,
    stop: threading.Event | None = None,
) -> Load:
    """Requests at given times, whether the earlier ones are answered or not.

    A request that no client is free for is sent late. Its latency counts from when it was due, or a
    server that stalls would hide the requests which waited meanwhile.

    Args:
        connect: makes a client's connection.
        clients: requests under way at most.
        arrivals: seconds from the start at which requests are due, ascending.
        stop: ends the load before its last arrival.

    Raises:
        ServingError: a connection cannot be made.
        ValueError: more than `MAX_REQUESTS`.
    """
    if len(arrivals) > MAX_REQUESTS:
        raise ValueError(f"{len(arrivals)} requests are more than a load may send.")
    numbers, stop = itertools.count(), stop or threading.Event()

    def work(exchange: Exchange, begin: float) -> _Tally:
        tally = _Tally()
        while (number := next(numbers)) < len(arrivals):
            due = begin + float(arrivals[number])
            if stop.wait(max(0.0, due - time.perf_counter())):
                break
            tally.count(exchange, due)
        return tally

    return _together(connect, clients, work)


def evenly(rate: float, seconds: float) -> Seconds:
    """Arrivals at equal distances."""
    return np.arange(max(1, int(rate * seconds))) / rate


def at_random(rate: float, seconds: float, seed: int = 0) -> Seconds:
    """Arrivals that know nothing of each other, as those of many people (a Poisson process)."""
    count = max(1, int(rate * seconds))
    return np.cumsum(np.random.default_rng(seed).exponential(1.0 / rate, count))


def demand_loopback(address: str) -> str:
    """The `HOST:PORT` given, if it is on this machine.

    Raises:
        ValueError: it is not; a benchmark has no business elsewhere.
    """
    host = address.rpartition(":")[0].strip("[]")
    found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    if not all(ipaddress.ip_address(one).is_loopback for one in found):
        raise ValueError(f"{address} is not on this machine; load is sent to loopback only.")
    return address


def _together(
    connect: Callable[[], Exchange], clients: int, work: Callable[[Exchange, float], _Tally]
) -> Load:
    with ExitStack() as stack:
        exchanges = [stack.enter_context(closing(connect())) for _ in range(clients)]
        with ThreadPoolExecutor(clients, "load") as pool:
            begin = time.perf_counter()
            tallies = list(pool.map(lambda exchange: work(exchange, begin), exchanges))
            seconds = time.perf_counter() - begin
    latencies = [one for tally in tallies for one in tally.latencies]
    failures = tuple(one for tally in tallies for one in tally.failures)
    return Load(seconds, np.array(latencies, np.float64), failures)
