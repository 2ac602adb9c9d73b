"""Damaged uploads in small; `make faults` sends more, `python -m tests.faults.mutations` 10,000."""

import os

import pytest

from serving.bench.usage import Usage
from tests.faults.alive import Alive
from tests.faults.damage import Damager
from tests.faults.growth import Reading, kept, livelier
from tests.faults.mutations import Found, bombard, watched_front_end

#: `make faults` sets more.
UPLOADS = int(os.environ.get("FAULTS_UPLOADS", "600"))


def test_every_damaged_upload_gets_a_sentence_and_nothing_grows() -> None:
    with watched_front_end() as (front_end, watched, temporary):
        found = bombard(front_end, watched, temporary, range(UPLOADS), seed=1)
    assert not found.faults
    assert len(found.answers) > 10


@pytest.mark.parametrize(
    ("blocks", "size", "told"),
    [(2500, 0, "2500 blocks"), (0, 3 * 2**20, "3145728 bytes"), (900, 2**20, "")],
)
def test_what_requests_leave_alive_is_told(blocks: int, size: int, told: str) -> None:
    usage = Usage(cpu_s=0, resident=0, descriptors=0)
    before = Reading(Alive(10**6, 2**26), usage)
    after = Reading(Alive(10**6 + blocks, 2**26 + size), usage)
    found = kept(before, after, requests=500)
    assert [told in one for one in found] == [True] * bool(told)
    assert not livelier(before, after)
    assert livelier(before, Reading(Alive(10**6 + 20 * blocks, 2**26 + 5 * size), usage))


def test_the_same_number_is_the_same_damage() -> None:
    assert Damager(1).upload(3) == Damager(1).upload(3)
    assert Damager(1).upload(3) != Damager(2).upload(3)


@pytest.mark.parametrize(
    "said",
    [
        (500, b'{"error": {"code": "internal_error", "message": "Something went wrong."}}'),
        (422, b'{"error": {"code": "corrupt", "message": "KeyError: 4"}}'),
        (422, b"Traceback"),
        "hang",
        "hung up",
    ],
)
def test_what_is_no_answer_is_a_fault(said: tuple[int, bytes] | str) -> None:
    found = Found()
    upload = next(one for one in map(Damager(1).upload, range(99)) if one.whole)
    found.judge(0, upload, said)
    assert len(found.faults) == 1
