"""Tiny real models that fulfil the contract, so that a server starts in seconds; both clients."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from serving.contract import IMAGE_SHAPE, RGB_BYTES
from tests.serving.scripted import CLIENTS, SCRIPTED

WriteModel = Callable[..., Path]


def write_tiny_model(base: Path, version: int, *, bias: float = 0.0, nan: bool = False) -> Path:
    """Write a version whose P(tumour) is the mean brightness plus a bias, within 0..1; returns its
    directory.

    With `nan` the probability is NaN, as from a broken network.
    """
    card = json.dumps({"version": version, "thresholds": {"low": 0.2, "label": 0.5, "high": 0.8}})
    images_spec = tf.TensorSpec((None, *IMAGE_SHAPE), tf.uint8, name="images")
    text_spec = lambda name: tf.TensorSpec((None,), tf.string, name=name)  # noqa: E731

    def decide(images):
        # As the graph must: TensorFlow Serving checks no shapes.
        images = tf.ensure_shape(images, (None, *IMAGE_SHAPE))
        light = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3]) / 255.0 + bias
        light = tf.clip_by_value(light, 0.0, 1.0)
        light = light * float("nan") if nan else light
        return {
            "probability": light,
            "label": tf.where(light >= 0.5, "tumor", "no_tumor"),
            "risk": tf.where(light < 0.2, "low", tf.where(light < 0.8, "medium", "high")),
            "in_distribution": light < 0.9,
            "ood_score": light / 0.9,
        }

    @tf.function(input_signature=[images_spec])
    def serving_default(images):
        return decide(images)

    @tf.function(input_signature=[images_spec])
    def explain(images):
        grey = tf.reduce_mean(tf.cast(images, tf.float32), axis=-1) / 255.0
        return decide(images) | {"heatmap": grey[:, ::32, ::32]}

    @tf.function(input_signature=[text_spec("rgb_bytes")])
    def rgb(rgb_bytes):
        whole = tf.strings.length(rgb_bytes) == RGB_BYTES
        filled = tf.where(whole, rgb_bytes, tf.constant(bytes(RGB_BYTES)))
        images = tf.reshape(tf.io.decode_raw(filled, tf.uint8), (-1, *IMAGE_SHAPE))
        answer = decide(images)
        nothing = {"probability": -1.0, "label": "", "risk": "", "ood_score": -1.0}
        nothing["in_distribution"] = False
        refused = {name: tf.where(whole, answer[name], value) for name, value in nothing.items()}
        return refused | {"error": tf.where(whole, "", "wrong length")}

    @tf.function(input_signature=[text_spec("format")])
    def card_text(format):
        return {"card": tf.fill(tf.shape(format), card)}

    path = base / str(version)
    tf.saved_model.save(
        tf.Module(),
        str(path),
        signatures={
            "serving_default": serving_default,
            "explain": explain,
            "rgb": rgb,
            "card": card_text,
        },
    )
    return path


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> Path:
    """A base path with version 1 of a tiny model."""
    base = tmp_path_factory.mktemp("models")
    write_tiny_model(base, 1)
    return base


@pytest.fixture(scope="session")
def tiny_server(serve, tiny_models):
    """A local server on the tiny model."""
    with serve(tiny_models) as server:
        yield server


@pytest.fixture(scope="session")
def write_model() -> WriteModel:
    """The function `write_tiny_model`."""
    return write_tiny_model


@pytest.fixture(params=CLIENTS)
def kind(request) -> str:
    """Which of our clients: "sync" or "async"; see `scripted.open_client`."""
    return request.param


@pytest.fixture(params=SCRIPTED)
def way(request) -> str:
    """Which wire format of scripted servers: "grpc" or "rest"."""
    return request.param
