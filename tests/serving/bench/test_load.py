"""Load generators count what they send, stay within bounds, and on this machine."""

import threading

import numpy as np
import pytest

from serving.bench import load
from serving.bench.load import at_random, demand_loopback, evenly, paced, saturate
from serving.errors import ServerOverloaded, ServingError


class Recorder:
    """A connection to nowhere that keeps what was asked of it."""

    def __init__(self, fail_every=0, then=lambda: None):
        self.sent, self.closed = 0, False
        self._fail_every, self._then = fail_every, then

    def send(self):
        self.sent += 1
        self._then()
        if self._fail_every and self.sent % self._fail_every == 0:
            raise ServerOverloaded("The server is busy.")

    def close(self):
        self.closed = True


def recorders(**options):
    made = []

    def connect():
        made.append(Recorder(**options))
        return made[-1]

    return made, connect


def test_every_client_asks_and_every_answer_is_counted():
    made, connect = recorders()
    done = saturate(connect, 3, 0.05)
    assert len(made) == 3
    assert all(one.sent and one.closed for one in made)
    assert len(done.latencies) == sum(one.sent for one in made)
    assert done.rate == len(done.latencies) / done.seconds
    assert done.failures == ()


def test_failures_are_told_and_are_no_answers():
    made, connect = recorders(fail_every=2)
    done = saturate(connect, 2, 0.1)
    assert len(done.failures) == sum(one.sent // 2 for one in made) > 0
    assert set(done.failures) == {"The server is busy."}
    assert len(done.latencies) == sum(one.sent for one in made) - len(done.failures)


def test_what_is_no_failure_of_the_server_ends_the_benchmark():
    def broken():
        raise TypeError("a mistake of ours")

    _, connect = recorders(then=broken)
    with pytest.raises(TypeError, match="a mistake of ours"):
        saturate(connect, 2, 0.05)


def test_a_load_is_bounded_in_requests(monkeypatch):
    monkeypatch.setattr(load, "MAX_REQUESTS", 7)
    _, connect = recorders()
    assert len(saturate(connect, 2, 60).latencies) == 7
    with pytest.raises(ValueError, match="8 requests are more than a load may send"):
        paced(connect, 1, np.zeros(8))


def test_latency_counts_from_when_a_request_was_due():
    """Three are due at once and there is one client: each waits for those before it."""
    moment = threading.Event()
    _, connect = recorders(then=lambda: moment.wait(0.02))
    latencies = paced(connect, 1, np.zeros(3)).latencies
    assert len(latencies) == 3
    assert (np.diff(latencies) >= 0.02).all()


def test_a_paced_load_ends_when_it_is_told():
    stop = threading.Event()
    made, connect = recorders(then=stop.set)
    done = paced(connect, 1, np.array([0.0, 3600.0]), stop)
    assert len(done.latencies) == made[0].sent == 1


def test_connections_are_closed_when_one_cannot_be_made():
    made, connect = recorders()

    def second_fails():
        if made:
            raise ServingError("Nothing answers.")
        return connect()

    with pytest.raises(ServingError, match="Nothing answers"):
        saturate(second_fails, 2, 0.05)
    assert made[0].closed


def test_arrivals():
    assert evenly(10.0, 0.5).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
    often = at_random(100.0, 100.0)
    assert len(often) == 10_000
    assert (np.diff(often) > 0).all()
    assert often[-1] == pytest.approx(100.0, rel=0.05)
    assert np.diff(often).std() == pytest.approx(0.01, rel=0.05)  # exponential: as its mean
    assert (often == at_random(100.0, 100.0)).all()


@pytest.mark.parametrize("address", ["127.0.0.1:8500", "localhost:8500", "[::1]:8500"])
def test_loopback_may_be_loaded(address):
    assert demand_loopback(address) == address


@pytest.mark.parametrize("address", ["192.0.2.1:8500", "0.0.0.0:8500", "[2001:db8::1]:8500"])
def test_no_other_machine_is_loaded(address):
    with pytest.raises(ValueError, match="is not on this machine; load is sent to loopback only"):
        demand_loopback(address)
