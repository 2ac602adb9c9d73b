"""The verdict of the mixed load can fall, and what it remembers is what it goes on from."""

from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.faults.mixed.__main__ import Passed
from tests.faults.mixed.clients import Good

STAYS, OTHER = 1, 2


def answer(probability: float, version: int = STAYS) -> httpx.Response:
    body = {"label": "tumor", "probability": probability, "model": {"version": version}}
    return httpx.Response(200, json=body)


def error(status: int, code: str, message: str = "Not now.") -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("response", "out", "answered", "refused", "faults"),
    [
        (answer(0.25), False, 1, 0, 0),
        (answer(0.75, OTHER), False, 1, 0, 0),
        (answer(0.75), False, 0, 0, 1),
        (answer(0.25, OTHER), False, 0, 0, 1),
        (error(503, "server_unavailable"), True, 0, 1, 0),
        (error(503, "server_unavailable"), False, 0, 0, 1),
        (error(503, "server_unavailable", "KeyError"), True, 0, 0, 1),
        (error(500, "internal_error"), True, 0, 0, 1),
    ],
)
def test_a_good_request_is_judged(
    response: httpx.Response, out: bool, answered: int, refused: int, faults: int
) -> None:
    probabilities = np.array([0.25], np.float32), np.array([0.75], np.float32)
    good = Good([b"scan"], probabilities, STAYS, lambda begin, end: out)
    with httpx.Client(
        base_url="http://page", transport=httpx.MockTransport(lambda _: response)
    ) as http:
        ended = good.ask(http, 1)
    assert (good.answered, good.refused.total(), len(good.faults)) == (answered, refused, faults)
    assert ended == (not refused)  # who was refused asks again


def test_a_run_goes_on_from_what_it_wrote(tmp_path: Path) -> None:
    state = tmp_path / "mixed.json"
    assert Passed.read(state) == Passed()
    passed = Passed(61.5, 2, 1, 40, Counter(busy=3), Counter(left=4), Counter({"page: grew": 1}))
    passed.write(state)
    assert Passed.read(state) == passed
