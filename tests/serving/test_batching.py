"""Merging of requests: who shares a run, who gets which rows, and who pays for bad ones."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.contract import RGB_BYTES
from serving.local.batching import BatchingParameters, BatchScheduler
from serving.local.errors import RequestError
from serving.local.metrics import Metrics
from serving.local.servable import Servable

#: Longer than any test: batches here are run because they are full.
NEVER = 3_600_000_000


def scheduler(**parameters):
    parameters = {"batch_timeout_micros": NEVER, "num_batch_threads": 1} | parameters
    return BatchScheduler(BatchingParameters(**parameters), Metrics())


def rows(*values):
    return {"x": np.array(values, np.float32)}


class Doubling:
    """A graph that doubles its rows, refuses negative ones, and remembers what it was run on."""

    def __init__(self):
        self.runs = []

    def __call__(self, inputs):
        self.runs.append(inputs["x"].tolist())
        if (inputs["x"] < 0).any():
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "negative")
        return {"y": inputs["x"] * 2}


def ask_all(batches, run, requests, kind="kind"):
    """Send requests at once, each from a thread of its own; answers or errors in their order."""

    def ask(inputs):
        try:
            return batches.run(kind, run, inputs, model_name="m", deadline=None)["y"].tolist()
        except RequestError as error:
            return f"{error.code.name}: {error}"

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def test_full_batches_are_one_run_and_everybody_gets_their_own_rows():
    batches, run = scheduler(max_batch_size=6), Doubling()
    answers = ask_all(batches, run, [rows(1), rows(2, 3), rows(4, 5, 6)])
    assert answers == [[2], [4, 6], [8, 10, 12]]
    (only,) = run.runs
    assert sorted(only) == [1, 2, 3, 4, 5, 6]


def test_a_batch_is_filled_up_to_an_allowed_size_and_the_filling_is_nobodys_answer():
    batches = scheduler(batch_timeout_micros=0, max_batch_size=4, allowed_batch_sizes=(2, 4))
    run = Doubling()
    assert ask_all(batches, run, [rows(1, 2, 3)]) == [[2, 4, 6]]
    assert run.runs == [[1, 2, 3, 1]]


def test_a_request_that_fails_fails_alone():
    batches, run = scheduler(max_batch_size=3), Doubling()
    answers = ask_all(batches, run, [rows(1), rows(-1), rows(3)])
    assert answers == [[2], "INVALID_ARGUMENT: negative", [6]]
    assert len(run.runs[0]) == 3
    assert sorted(run.runs[1:]) == [[-1], [1], [3]]


def test_kinds_are_never_mixed():
    batches, first, second = scheduler(max_batch_size=2), Doubling(), Doubling()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(ask_all, batches, first, [rows(1), rows(2)], "one")
        two = pool.submit(ask_all, batches, second, [rows(3), rows(4)], "two")
        assert (one.result(), two.result()) == ([[2], [4]], [[6], [8]])
    assert [sorted(run) for run in first.runs] == [[1, 2]]
    assert [sorted(run) for run in second.runs] == [[3, 4]]


def test_a_lone_request_waits_no_longer_than_the_timeout():
    batches = scheduler(batch_timeout_micros=1000, max_batch_size=100)
    assert ask_all(batches, Doubling(), [rows(1)]) == [[2]]


def test_overload_is_refused_and_what_came_too_late_is_not_run():
    batches = scheduler(max_batch_size=1, max_enqueued_batches=1)
    started, release = threading.Event(), threading.Event()
    runs = []

    def slow(inputs):
        runs.append(inputs["x"].tolist())
        started.set()
        assert release.wait(60)
        return {"y": inputs["x"]}

    def ask(value, deadline=None):
        return batches.run("kind", slow, rows(value), model_name="m", deadline=deadline)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, 1)
        assert started.wait(60)
        with pytest.raises(RequestError) as late:
            ask(2, time.monotonic() + 0.05)
        with pytest.raises(RequestError) as refused:
            ask(3)  # the late one still stands in the queue
        release.set()
        assert running.result()["y"].tolist() == [1]
    batches.stop(60)
    assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "queue to which this task was submitted is full" in str(refused.value)
    assert runs == [[1]]


def test_more_rows_than_a_batch_holds_are_refused():
    (answer,) = ask_all(scheduler(max_batch_size=2), Doubling(), [rows(1, 2, 3)])
    assert answer == ("INVALID_ARGUMENT: Task size 3 is larger than maximum input batch size 2")


def test_stopping_runs_what_is_queued():
    batches, run = scheduler(max_batch_size=100), Doubling()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask_all, batches, run, [rows(1)])
        while not batches._queues:
            time.sleep(0.01)
        batches.stop(60)
        assert waiting.result() == [[2]]
    (answer,) = ask_all(batches, run, [rows(1)])
    assert answer == "UNAVAILABLE: The server is ending"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"max_batch_size": 0}, "max_batch_size must be 1 or more"),
        ({"num_batch_threads": 0}, "num_batch_threads must be 1 or more"),
        ({"batch_timeout_micros": -1}, "batch_timeout_micros must not be negative"),
        ({"max_batch_size": 4, "allowed_batch_sizes": (4, 2)}, "must be positive and grow"),
        ({"max_batch_size": 4, "allowed_batch_sizes": (1, 2)}, "must equal max_batch_size"),
    ],
)
def test_parameters_that_contradict_each_other(parameters, words):
    with pytest.raises(ValueError, match=words):
        BatchingParameters(**parameters)


def merged(servable, signature, requests):
    """Answers to requests that are sent at once, or their errors."""

    def ask(inputs):
        try:
            return servable.predict(signature, inputs)
        except RequestError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def rgb_bytes(content):
    array = np.empty(1, object)
    array[0] = content
    return {"rgb_bytes": array}


@pytest.mark.parametrize("which", ["tiny", "shipped"])
def test_bad_bytes_of_one_client_touch_no_neighbour_and_get_no_diagnosis(
    which, tiny_models, models
):
    base = tiny_models if which == "tiny" else models
    path = max((one for one in base.iterdir() if one.name.isdigit()), key=lambda p: int(p.name))
    batches = scheduler(max_batch_size=4)
    servable = Servable("m", path, int(path.name), batches._metrics, batches)
    noise = np.random.default_rng(0).integers(0, 256, (3, RGB_BYTES), np.uint8)
    good = [rgb_bytes(image.tobytes()) for image in noise]
    bad = rgb_bytes(b"\x89PNG")
    answers = merged(servable, "rgb", [good[0], bad, good[1], good[2]])
    assert ":batching_session:wrapped_run_count{} 1\n" in batches._metrics.text()
    alone = [servable._run("rgb", one) for one in good]
    for answer, expected in zip([answers[0], *answers[2:]], alone, strict=True):
        assert answer["probability"] == pytest.approx(expected["probability"], abs=1e-5)
        assert answer["label"].tolist() == expected["label"].tolist()
        assert answer["error"].tolist() == [b""]
    assert answers[1]["error"][0]
    if which == "shipped":
        assert answers[1]["probability"].tolist() == [-1]
        assert answers[1]["label"].tolist() == [b""]


def test_a_graph_that_refuses_bad_bytes_refuses_only_those(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="rgb_bytes")])
    def rgb(rgb_bytes):
        lengths = tf.strings.length(rgb_bytes)
        with tf.control_dependencies([tf.debugging.assert_equal(lengths, 3)]):
            return {"first": tf.strings.substr(rgb_bytes, 0, 1)}

    tf.saved_model.save(tf.Module(), str(tmp_path / "1"), signatures={"rgb": rgb})
    batches = scheduler(max_batch_size=3)
    servable = Servable("m", tmp_path / "1", 1, batches._metrics, batches)
    contents = [b"abc", b"x", b"def"]
    answers = merged(servable, "rgb", [rgb_bytes(content) for content in contents])
    assert answers[0]["first"].tolist() == [b"a"]
    assert answers[2]["first"].tolist() == [b"d"]
    assert answers[1].code is grpc.StatusCode.INVALID_ARGUMENT


def test_shapes_and_versions_are_never_mixed(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32, name="x")])
    def total(x):
        return {"y": tf.reduce_sum(x, axis=1)}

    batches = scheduler(max_batch_size=2)
    versions = []
    for version in (1, 2):
        path = tmp_path / str(version)
        tf.saved_model.save(tf.Module(), str(path), signatures={"serving_default": total})
        versions.append(Servable("m", path, version, batches._metrics, batches))
    narrow, wide = np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)
    requests = [(one, x) for one in versions for x in (narrow, narrow, wide, wide)]
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = list(pool.map(lambda r: r[0].predict("", {"x": r[1]})["y"].tolist(), requests))
    assert answers == [[2], [2], [3], [3]] * 2
    assert ":wrapped_run_count{} 4\n" in batches._metrics.text()


def test_what_cannot_be_merged_is_run_by_itself(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((), tf.float32, name="x")])
    def scalar(x):
        return {"y": x + 1}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def rows_of(x):
        return {"y": x + 1}

    signatures = {"scalar": scalar, "rows": rows_of}
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"), signatures=signatures)
    batches = scheduler(max_batch_size=2)
    servable = Servable("m", tmp_path / "1", 1, batches._metrics, batches)
    assert servable.predict("scalar", {"x": np.float32(1)[...]})["y"] == 2
    empty = servable.predict("rows", {"x": np.empty(0, np.float32)})
    assert empty["y"].tolist() == []
