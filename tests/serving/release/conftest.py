"""A candidate that may be published, versions that need no TensorFlow, and the real commands."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from serving.contract import IMAGE_SHAPE, RGB_BYTES
from serving.release.store import Store, new_version
from tests.conftest import ROOT

Command = Callable[..., subprocess.CompletedProcess]
WARMUP = "assets.extra/tf_serving_warmup_requests"


def write_warmup(folder: Path, signatures=("serving_default", "explain", "rgb", "card")) -> None:
    """One warm-up record for each of some signatures."""
    tensors = {
        "serving_default": ("images", tf.make_tensor_proto(0, tf.uint8, (1, *IMAGE_SHAPE))),
        "explain": ("images", tf.make_tensor_proto(0, tf.uint8, (1, *IMAGE_SHAPE))),
        "rgb": ("rgb_bytes", tf.make_tensor_proto([bytes(RGB_BYTES)])),
        "card": ("format", tf.make_tensor_proto(["json"])),
        "none_such": ("images", tf.make_tensor_proto(0, tf.uint8, (1, *IMAGE_SHAPE))),
    }
    path = folder / WARMUP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name="brain_tumor", signature_name=signature)
            )
            name, tensor = tensors[signature]
            request.inputs[name].CopyFrom(tensor)
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


@pytest.fixture(scope="session")
def candidate(tmp_path_factory, write_model) -> Path:
    """A tiny model that fulfils everything; not to be changed."""
    folder = write_model(tmp_path_factory.mktemp("candidate"), 1)
    write_warmup(folder)
    return folder


@pytest.fixture(scope="session")
def command() -> Command:
    """`command("publish", …)` runs `python -m serving publish …` to its end."""

    def run(*arguments: object, **options) -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", "serving", *(str(argument) for argument in arguments)]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, **options)

    return run


@pytest.fixture
def base(tmp_path) -> Path:
    """A base path with versions 1, 2 and 3, published but for the verification; they hold no real model."""
    base = tmp_path / "models"
    for _ in range(3):
        add_version(base)
    return base


@pytest.fixture
def store(base) -> Store:
    """The store of `base`."""
    return Store(base)


def add_version(base: Path) -> int:
    """One more version, told from the others by its content."""
    with new_version(base) as (folder, version):
        (folder / "variables").mkdir()
        (folder / "saved_model.pb").write_text(f"model {version}")
        (folder / "variables" / "variables.index").write_text("index")
    return version


@pytest.fixture(scope="session")
def publish_stub() -> Callable[[Path], int]:
    """The function `add_version`."""
    return add_version


@pytest.fixture(scope="session")
def warm_up() -> Callable[..., None]:
    """The function `write_warmup`."""
    return write_warmup
