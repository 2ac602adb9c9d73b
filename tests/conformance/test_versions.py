"""Versions come and go on disk while the server runs."""

import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.recorded_model import write_version
from tests.conformance.server import GREY
from tests.conftest import eventually

BIAS = 0.5
#: sigmoid(4 * 128 / 255 - 2 + bias)
NEW = 1 / (1 + np.exp(-(4 * 128 / 255 - 2 + BIAS)))


@pytest.fixture
def next_version(server):
    """A number that was never used, and a directory of that name which is taken away at the end."""
    version = max([*server.states(), 2]) + 1
    yield version
    shutil.rmtree(server.base_path / str(version), ignore_errors=True)


def publish(server, version: int, bias: float) -> None:
    spare = server.base_path / f".tmp-{version}"
    write_version(spare, bias)
    spare.rename(server.base_path / str(version))


def test_a_version_comes_and_goes_under_load_without_a_failed_request(server, next_version):
    answers, errors, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answer = server.predict()
            except Exception as error:
                errors.append(error)
                return
            values = tf.make_ndarray(answer.outputs["probability"])
            answers.append((answer.model_spec.version.value, *values))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        publish(server, next_version, BIAS)
        eventually(lambda: server.states().get(next_version) == "AVAILABLE", "it is available")
        eventually(lambda: answers[-1][0] == next_version, "the newest answers")
        shutil.rmtree(server.base_path / str(next_version))
        eventually(lambda: server.states()[next_version] == "END", "it is unloaded")
        eventually(lambda: answers[-1][0] == 2, "version 2 answers again")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    expected = {2: 0.564106, next_version: NEW}
    assert {answer[0] for answer in answers} == set(expected)
    for version, *probabilities in answers:  # never a mix
        assert probabilities == pytest.approx([expected[version]] * len(GREY), abs=1e-5)


def test_a_version_that_cannot_be_loaded_leaves_the_others_serving(server, next_version):
    spare = server.base_path / f".tmp-{next_version}"
    spare.mkdir()
    (spare / "saved_model.pb").write_bytes(b"half a copy")
    spare.rename(server.base_path / str(next_version))
    eventually(lambda: server.states().get(next_version) in ("LOADING", "END"), "it is tried")
    assert server.probability() == pytest.approx(0.564106, abs=1e-5)
    eventually(lambda: server.states()[next_version] == "END", "it is given up")
    path = f"/v1/models/brain_tumor/versions/{next_version}"
    (row,) = server.http("GET", path).json()["model_version_status"]
    assert row["state"] == "END"
    assert row["status"]["error_code"] != "OK"
    assert server.probability() == pytest.approx(0.564106, abs=1e-5)


def test_what_is_not_named_by_a_number_is_no_version(server, next_version):
    notes = server.base_path / "notes"
    write_version(notes, 0.0)
    try:
        before = set(server.states())
        publish(server, next_version, BIAS)
        eventually(lambda: server.states().get(next_version) == "AVAILABLE", "it is available")
        assert set(server.states()) == before | {next_version}
    finally:
        shutil.rmtree(notes)
