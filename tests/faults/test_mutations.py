"""Damaged uploads in small; `make faults` sends more, `python -m tests.faults.mutations` 10,000."""

import os

import pytest

from tests.faults.damage import Damager
from tests.faults.mutations import WARM, Found, bombard, watched_front_end

#: `make faults` sets more.
UPLOADS = int(os.environ.get("FAULTS_UPLOADS", "600"))


def test_every_damaged_upload_gets_a_sentence_and_nothing_grows() -> None:
    with watched_front_end() as (front_end, temporary):
        found = bombard(front_end, temporary, range(UPLOADS), seed=1)
    assert not found.faults
    assert len(found.answers) > 10
    assert UPLOADS > WARM


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
