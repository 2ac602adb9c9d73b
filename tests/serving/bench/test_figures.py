"""Ratios are formed within rounds; shipped parameters fit; /proc is read right; the original answers."""

import os
import subprocess
import sys
from io import BytesIO
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from werkzeug.test import Client

from serving.bench.bfloat16 import Accuracy, accuracy, bfloat16
from serving.bench.figures import Cell, Figures, ratios, saturation
from serving.bench.load import Load
from serving.bench.original import create_app
from serving.bench.processes import tuned_batching
from serving.bench.report import TAIL_TARGET, Tail, markdown
from serving.bench.run import _check_agreement
from serving.bench.usage import usage
from serving.bench.ways import GRPC, IN_PROCESS, ORIGINAL, PAGE, REST, Kind, in_process
from serving.errors import ServingError
from serving.local.config import read_batching


def figures(*rates):
    return Figures(rates=list(rates))


def test_a_ratio_is_formed_within_each_round():
    measured = {
        Cell(Kind(IN_PROCESS), 1): figures(100.0, 50.0, 80.0),
        Cell(Kind(GRPC), 1): figures(90.0, 50.0, 60.0),
        Cell(Kind(REST), 1): figures(45.0, 40.0, 57.0),
        Cell(Kind(GRPC, batching=True), 1): figures(80.0, 50.0, 40.0),
        Cell(Kind(GRPC, batching=True), 32): figures(120.0, 100.0, 68.0),
        Cell(Kind(PAGE), 1): figures(30.0, 30.0, 30.0),
        Cell(Kind(ORIGINAL), 1): figures(5.0, 0.0, 3.0),
    }
    found = {one.what: one for one in ratios(measured, (1, 8, 32))}
    assert found["gRPC : in process, one client"].values == (0.9, 1.0, 0.75)
    assert found["gRPC : in process, one client"].median == 0.9
    assert found["gRPC : in process, one client"].target == 0.9
    assert found["REST : gRPC, one client"].values == (0.5, 0.8, 0.95)
    assert found["REST : gRPC, one client"].target == 0.85
    merged = found["gRPC with batching, 32 clients : one client"]
    assert (merged.values, merged.target) == ((1.5, 2.0, 1.7), 1.5)
    # A round without any answer has no ratio.
    assert found["page : original, one client"].values == (6.0, 10.0)
    assert len(found) == 6  # and batching on : off, page : gRPC with one client
    assert saturation(measured, Kind(GRPC, batching=True)) == 100.0


def test_turns_add_up():
    one = Figures()
    one.add(Load(2.0, np.array([0.1, 0.3]), ("busy",)), images=8, cpu_s=0.5)
    one.add(Load(1.0, np.array([0.2]), ()), images=8, cpu_s=0.25)
    assert (one.rates, one.latencies, one.cpu_s) == ([8.0, 8.0], [0.1, 0.3, 0.2], 0.75)
    assert one.failures == ["busy"]
    assert one.percentiles_ms() == pytest.approx((200.0, 290.0, 298.0))
    assert np.isnan(Figures().percentiles_ms()).all()


def test_tables_can_be_pasted():
    table = markdown(("way", "images/s"), [("gRPC", "92.1"), ("REST", "80.0")])
    assert table == "| way | images/s |\n|---|---|\n| gRPC | 92.1 |\n| REST | 80.0 |"
    assert Tail(False, "evenly spaced", 9.0, 10, (20.0, 30.0, 50.0), 0).ratio == 2.5 < TAIL_TARGET


@pytest.mark.parametrize(
    ("cores", "tuned"), [(1, 2), (2, 2), (4, 2), (8, 8), (16, 8), (32, 32), (96, 32)]
)
def test_the_shipped_batching_parameters_for_this_many_cores(cores, tuned):
    path = tuned_batching(cores)
    assert path.name == f"batching-{tuned}-cores.config"
    assert read_batching(path).num_batch_threads <= max(2, tuned)


def test_use_of_a_process_and_of_those_it_started():
    """A shell whose child works, holds memory and files, then waits."""
    work = (
        "import time; held = bytearray(b'x' * 2**26); files = [open('/dev/null') for _ in range(40)]\n"
        "end = time.process_time() + 0.3\n"
        "while time.process_time() < end: pass\n"
        "print('done', flush=True); input()"
    )
    script = f'"{sys.executable}" -c "$WORK"; true'
    with subprocess.Popen(
        ["sh", "-c", script],
        env=os.environ | {"WORK": work},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout.readline() == "done\n"
        whole, alone = usage(shell.pid), usage(shell.pid, descendants=False)
        shell.communicate("\n")
    assert whole.cpu_s >= 0.3 > alone.cpu_s
    assert whole.resident > 2**26 > alone.resident
    assert whole.descriptors >= alone.descriptors + 40
    assert usage(shell.pid) == usage() == type(whole)(0.0, 0, 0)


def test_the_original_answers_what_its_model_predicts():
    model = keras.Sequential([keras.Input((224, 224, 3)), keras.layers.GlobalAveragePooling2D()])
    client = Client(create_app(model))
    assert client.get("/").text == "up"
    picture = BytesIO()
    Image.new("RGB", (50, 70), (51, 0, 0)).save(picture, "PNG")
    picture.seek(0)
    answer = client.post("/", data={"file": (picture, "scan.png")})
    assert answer.json == {"probability": pytest.approx(0.2, abs=1e-3)}  # of red


def test_bfloat16_is_gated_on_accuracy(tiny_models):
    signature = tf.saved_model.load(str(tiny_models / "1")).signatures["serving_default"]
    scans = np.random.default_rng(0).integers(0, 256, (11, 224, 224, 3), np.uint8)
    found = accuracy(signature, scans)
    assert found.scans == 11
    assert found.passed
    assert not any(tf.config.optimizer.get_experimental_options().values())
    with bfloat16():
        assert any(tf.config.optimizer.get_experimental_options().values())

    none = {"label": 0, "risk": 0, "in_distribution": 0}
    assert Accuracy(9, 0.02, none).passed
    assert not Accuracy(9, 0.021, none).passed
    assert not Accuracy(9, 0.0, none | {"risk": 1}).passed


def test_a_change_of_decision_is_counted():
    """A graph that answers otherwise under the option, as a bad rewrite would."""

    def signature(images):
        reduced = any(tf.config.optimizer.get_experimental_options().values())
        count = len(images)
        answer = {
            "probability": np.full(count, 0.6 if reduced else 0.4),
            "label": np.full(count, b"tumor" if reduced else b"no_tumor"),
            "risk": np.full(count, b"medium"),
            "in_distribution": np.full(count, True),
        }
        return {name: SimpleNamespace(numpy=lambda a=a: a) for name, a in answer.items()}

    found = accuracy(signature, np.zeros((9, 224, 224, 3), np.uint8))
    assert found.changed == {"label": 9, "risk": 0, "in_distribution": 0}
    assert found.largest_difference == pytest.approx(0.2)
    assert not found.passed


def test_ways_that_serve_different_models_are_not_compared(tmp_path, write_model):
    images = np.full((1, 224, 224, 3), 51, np.uint8)
    signatures = [
        tf.saved_model.load(str(write_model(tmp_path, number, bias=bias))).signatures[
            "serving_default"
        ]
        for number, bias in ((1, 0.0), (2, 0.1))
    ]
    one, other = (in_process(IN_PROCESS, signature, images) for signature in signatures)
    _check_agreement([one, one])
    with pytest.raises(
        ServingError, match=r"answers 0\.300000 where .* 0\.200000: it serves another"
    ):
        _check_agreement([one, other])
