"""The same scan gets the same answer on every surface.

Surfaces: the SavedModel itself, gRPC, REST in both forms, the command line, the HTTP API. The page is read
in tests/browser/test_golden.py; that the SavedModel computes what was trained, in
tests/training/test_whole_way.py.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow as tf

from data.imaging import prepare_scan, read_scan
from serving.client import Client
from tests.ui.front_end import running_front_end

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden(samples) -> list[Path]:
    """Eight samples, four of each class."""
    return [*samples["yes"][::5][:4], *samples["no"][::5][:4]]


@pytest.fixture(scope="module")
def from_saved_model(golden, models) -> np.ndarray:
    """P(tumour) of the golden samples from the newest SavedModel, called in this process."""
    newest = max(int(path.name) for path in models.iterdir() if path.name.isdigit())
    served = tf.saved_model.load(str(models / str(newest))).signatures["serving_default"]
    images = np.stack([prepare_scan(read_scan(path)) for path in golden])
    return served(images=tf.constant(images))["probability"].numpy()


@pytest.fixture(scope="module")
def page(local_server, free_port, tmp_path_factory):
    """The HTTP API in front of the local server."""
    log = tmp_path_factory.mktemp("page") / "log.txt"
    with running_front_end(free_port(), log, "--server", local_server.grpc) as front_end:
        yield front_end.address


def test_golden_samples_span_the_scale(from_saved_model):
    assert from_saved_model.min() < 0.2
    assert from_saved_model.max() > 0.8


@pytest.mark.parametrize("surface", ["grpc", "rest"])
def test_client(surface, local_server, golden, from_saved_model):
    images = np.stack([prepare_scan(read_scan(path)) for path in golden])
    with Client(getattr(local_server, surface)) as client:
        one_batch = [p.probability for p in client.predict(images).predictions]
        one_by_one = [client.predict(image[None]).predictions[0].probability for image in images]
        explained = [p.probability for p in client.explain(images[:2]).predictions]
    assert one_batch == pytest.approx(from_saved_model, abs=TOLERANCE)
    assert one_by_one == pytest.approx(from_saved_model, abs=TOLERANCE)
    assert explained == pytest.approx(from_saved_model[:2], abs=TOLERANCE)


def test_rest_rows_of_numbers(local_server, golden, from_saved_model):
    url = f"{local_server.rest}/v1/models/{local_server.model_name}:predict"
    for path, expected in zip(golden, from_saved_model, strict=True):
        body = {"instances": [prepare_scan(read_scan(path)).tolist()]}
        (row,) = requests.post(url, json=body, timeout=30).json()["predictions"]
        assert row["probability"] == pytest.approx(expected, abs=TOLERANCE)


def test_command_line(local_server, golden, from_saved_model):
    command = [sys.executable, "-m", "serving", "predict", "--server", local_server.grpc, "--json"]
    done = subprocess.run([*command, *golden], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    assert [row["probability"] for row in rows] == pytest.approx(from_saved_model, abs=TOLERANCE)


@pytest.mark.parametrize("path", ["/", "/upload"])
def test_http_api(page, path, golden, from_saved_model):
    for scan, expected in zip(golden, from_saved_model, strict=True):
        with scan.open("rb") as file:
            answer = requests.post(f"{page}{path}", files={"file": file}, timeout=30).json()
        assert answer["probability"] == pytest.approx(expected, abs=TOLERANCE)
        assert answer["label"] == (
            "tumor" if expected >= answer["thresholds"]["label"] else "no_tumor"
        )
