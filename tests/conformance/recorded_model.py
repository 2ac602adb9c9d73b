"""The model that the recorded exchanges were made with: small, and answering by formula."""

from pathlib import Path

import tensorflow as tf

SIDE = 224
RGB_BYTES = SIDE * SIDE * 3
#: probability = sigmoid(4 * mean / 255 - 2 + bias)
BIASES = {1: 0.0, 2: 0.25}


def write_version(path: Path, bias: float) -> None:
    """Write a SavedModel that, as the recorded one, checks neither shapes nor the length of bytes."""
    images_spec = tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name="images")
    bytes_spec = tf.TensorSpec((None,), tf.string, name="rgb_bytes")

    def decide(images):
        mean = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3])
        probability = tf.sigmoid(4.0 * mean / 255.0 - 2.0 + bias)
        return {
            "probability": probability,
            "label": tf.where(probability >= 0.5, "tumor", "no_tumor"),
            "risk": tf.where(
                probability < 0.2, "low", tf.where(probability < 0.8, "medium", "high")
            ),
            "in_distribution": probability >= 0.0,
            "ood_score": 1.0 - probability,
        }

    @tf.function(input_signature=[images_spec])
    def serving_default(images):
        return decide(images)

    @tf.function(input_signature=[images_spec])
    def explain(images):
        grey = tf.reduce_mean(tf.cast(images, tf.float32), axis=-1, keepdims=True) / 255.0
        heatmap = tf.nn.avg_pool2d(grey, SIDE // 7, SIDE // 7, "VALID")[..., 0]
        return decide(images) | {"heatmap": heatmap}

    @tf.function(input_signature=[bytes_spec])
    def rgb(rgb_bytes):
        pixels = tf.io.decode_raw(rgb_bytes, tf.uint8, fixed_length=RGB_BYTES)
        return decide(tf.reshape(pixels, (-1, SIDE, SIDE, 3)))

    signatures = {"serving_default": serving_default, "explain": explain, "rgb": rgb}
    tf.saved_model.save(tf.Module(), str(path), signatures=signatures)
