"""The TensorFlow graph of a served version: frozen, batch norms folded, one core behind all signatures.

Every signature of `serving.contract` calls the same frozen function, so that the weights are stored once
and no two surfaces can disagree. TensorFlow Serving checks neither shapes nor lengths: the graph does.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import fingerprint_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from serving.contract import (
    CARD,
    EXPLAIN,
    IMAGE_SHAPE,
    RGB,
    RGB_BYTES,
    SERVING_DEFAULT,
    Label,
    Risk,
)
from training.calibrate import Calibration, Operating
from training.efficientnet_lite import fold
from training.familiarity import Density
from training.network import FRAMED, LITE0, Standardise, normalise

Tensors = dict[str, tf.Tensor]
Core = Callable[[tf.Tensor], Tensors]

#: The layer whose statistics tell familiar images from others, where another was not measured to be best.
_MIDDLE: Final = {LITE0: "block10_add"}
#: Elsewhere: the last layer whose map has this fraction of the image's side.
_MIDDLE_STRIDE: Final = 16


class Classifier:
    """A trained network with its batch norms folded, as plain TensorFlow."""

    def __init__(self, network: keras.Model, backbone: str) -> None:
        """Take the trained parts out of a network.

        Args:
            network: from `training.network.build_network`, trained.
            backbone: its name; only EfficientNet-Lite0 is folded, others run as they are.
        """
        trained = network.get_layer("backbone")
        self._name = backbone
        # All that comes before the random views, which serving has none of.
        self._prepare = keras.Model(network.inputs[0], network.get_layer("random_view").input)
        framed = network.get_layer(FRAMED)
        self._standardise = framed if isinstance(framed, Standardise) else None
        self._grey = keras.Model(network.inputs[0], network.get_layer("grey").output)
        folded = fold(trained) if backbone == LITE0 else trained
        self._maps = keras.Model(folded.inputs[0], [_middle(folded, backbone), folded.outputs[0]])
        kernel, bias = network.get_layer("evidence").get_weights()
        self._pool = network.get_layer("logit")
        self.kernel = tf.constant(kernel)
        self.bias = tf.constant(bias)

    def maps(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """uint8 `[N, 224, 224, 3]` → maps of the middle and last layers, float32 `[N, h, w, C]` each."""
        normalised = normalise(self._prepare(images, training=False), self._name)
        if self._name != LITE0:
            normalised = tf.repeat(normalised, 3, axis=-1)
        middle, last = self._maps(normalised, training=False)
        return middle, last

    def logits(self, last: tf.Tensor) -> tf.Tensor:
        """Raw logits `[N]` of last maps: the local logits, pooled."""
        return self._pool(self._local(last)[..., None])[:, 0]

    def evidence(self, last: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Where in an image the logit comes from, `[N, h, w]`: local logits, which are pooled into it.

        The network sees the head cropped; the map is of the image as it was sent, next to no evidence
        outside the crop.
        """
        local = self._local(last)
        if self._standardise is None:
            return local
        shares = self._standardise.back(tf.sigmoid(local)[..., None], self._grey(images))[..., 0]
        shares = tf.clip_by_value(shares, 1e-6, 1.0 - 1e-6)
        return tf.math.log(shares) - tf.math.log1p(-shares)

    def _local(self, last: tf.Tensor) -> tf.Tensor:
        """Logit of each cell, `[N, h, w]`."""
        return tf.tensordot(last, self.kernel[:, 0], axes=1) + self.bias

    def appearance_and_logits(
        self, images: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Appearance `[N, 2C]` and raw logits `[N]` of a batch."""
        found, logits = self._appearance_and_logits(tf.constant(images))
        return found.numpy(), logits.numpy()

    @tf.function(
        input_signature=[tf.TensorSpec((None, *IMAGE_SHAPE), tf.uint8)], reduce_retracing=True
    )
    def _appearance_and_logits(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        middle, last = self.maps(images)
        return appearance(middle), self.logits(last)


def appearance(middle: tf.Tensor) -> tf.Tensor:
    """Mean and standard deviation of each channel, `[N, h, w, C]` → `[N, 2C]`."""
    mean, variance = tf.nn.moments(middle, axes=[1, 2])
    return tf.concat([mean, tf.sqrt(variance)], axis=1)


def _middle(backbone: keras.Model, name: str) -> keras.KerasTensor:
    if name in _MIDDLE:
        return backbone.get_layer(_MIDDLE[name]).output
    probe = keras.Model(backbone.inputs[0], [layer.output for layer in backbone.layers])
    side = IMAGE_SHAPE[0] // _MIDDLE_STRIDE
    shapes = probe.compute_output_shape((1, *IMAGE_SHAPE[:2], backbone.inputs[0].shape[-1]))
    fitting = [
        layer.output
        for layer, shape in zip(backbone.layers, shapes, strict=True)
        if len(shape) == 4 and shape[1] == side
    ]
    return fitting[-1] if fitting else backbone.outputs[0]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Everything between a logit and the answer."""

    calibration: Calibration
    thresholds: Operating
    density: Density


def write_saved_model(core: Core, *, card_json: str, card_markdown: str, folder: Path) -> None:
    """Write `saved_model.pb` and its siblings with all signatures of the contract.

    Args:
        core: from `frozen_core`.
        card_json: model card, machine-readable.
        card_markdown: the same, for people.
        folder: an existing empty folder.
    """
    images_spec = tf.TensorSpec((None, *IMAGE_SHAPE), tf.uint8, name="images")
    texts = lambda name: tf.TensorSpec((None,), tf.string, name=name)  # noqa: E731

    @tf.function(input_signature=[images_spec])
    def serving_default(images: tf.Tensor) -> Tensors:
        answers = core(_checked(images))
        del answers["heatmap"]
        return answers

    @tf.function(input_signature=[images_spec])
    def explain(images: tf.Tensor) -> Tensors:
        return core(_checked(images))

    @tf.function(input_signature=[texts("rgb_bytes")])
    def rgb(rgb_bytes: tf.Tensor) -> Tensors:
        lengths = tf.strings.length(rgb_bytes)
        whole = lengths == RGB_BYTES
        # Only an element of another length is replaced: its neighbours in the batch keep their answer.
        filled = tf.where(whole, rgb_bytes, tf.constant(bytes(RGB_BYTES)))
        images = tf.reshape(tf.io.decode_raw(filled, tf.uint8), (-1, *IMAGE_SHAPE))
        answers = core(images)
        del answers["heatmap"]
        refused = {
            "probability": tf.constant(-1.0),
            "label": tf.constant(""),
            "risk": tf.constant(""),
            "in_distribution": tf.constant(False),
            "ood_score": tf.constant(-1.0),
        }
        answers = {name: tf.where(whole, answers[name], refused[name]) for name in answers}
        sentence = tf.strings.join(
            [
                f"rgb_bytes must hold {RGB_BYTES} bytes, 224 rows of 224 RGB pixels, but holds ",
                tf.strings.as_string(lengths),
            ]
        )
        return answers | {"error": tf.where(whole, "", sentence)}

    @tf.function(input_signature=[texts("format")])
    def card(format: tf.Tensor) -> Tensors:
        unknown = '{"error": "format must be json or markdown"}'
        text = tf.where(format == "json", card_json, unknown)
        return {"card": tf.where(format == "markdown", card_markdown, text)}

    module = tf.Module()
    tf.saved_model.save(
        module,
        str(folder),
        signatures={SERVING_DEFAULT: serving_default, EXPLAIN: explain, RGB: rgb, CARD: card},
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
    _replace_random_id(folder / "fingerprint.pb")


def _replace_random_id(path: Path) -> None:
    """Let the same graph be the same bytes: the only random ones are TensorFlow's id in the fingerprint."""
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(path.read_bytes())
    fingerprint.ClearField("uuid")
    rest = hashlib.sha256(fingerprint.SerializeToString(deterministic=True)).digest()
    # As TensorFlow writes it: 128 bits, decimal.
    fingerprint.uuid = str(int.from_bytes(rest[:16], "big"))
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _checked(images: tf.Tensor) -> tf.Tensor:
    """Refuse, at run time, what TensorFlow Serving lets through: images of another shape.

    The placeholder hides the shape that the signature promises, without which the check would be
    optimised away as always true.
    """
    hidden = tf.compat.v1.placeholder_with_default(images, [None] * 4)
    return tf.ensure_shape(hidden, (None, *IMAGE_SHAPE))


def risks(probability: tf.Tensor, thresholds: Operating) -> tf.Tensor:
    """The `Risk` of each probability; a threshold itself belongs to the band above it."""
    return tf.where(
        probability < thresholds.low,
        Risk.LOW,
        tf.where(probability < thresholds.high, Risk.MEDIUM, Risk.HIGH),
    )


def frozen_core(classifier: Classifier, decision: Decision) -> Core:
    """One concrete function from images to every output of `explain`, weights as constants."""
    calibration, thresholds, density = decision.calibration, decision.thresholds, decision.density
    mean = tf.constant(density.mean, tf.float32)
    scale = tf.constant(density.scale, tf.float32)
    directions = tf.constant(density.directions, tf.float32)
    gains = tf.constant(density.gains, tf.float32)

    def calibrated(logits: tf.Tensor) -> tf.Tensor:
        # ln s and ln(1 - s) of s = sigmoid(logit), without overflow.
        low, high = -tf.nn.softplus(-logits), tf.nn.softplus(logits)
        return tf.sigmoid(calibration.a * low + calibration.b * high + calibration.c)

    @tf.function(input_signature=[tf.TensorSpec((None, *IMAGE_SHAPE), tf.uint8)])
    def answer(images: tf.Tensor) -> Tensors:
        middle, last = classifier.maps(images)
        probability = calibrated(classifier.logits(last))
        away = (appearance(middle) - mean) / scale
        along = tf.matmul(away, directions)
        raw = tf.linalg.matvec(along**2, gains) + density.precision * tf.reduce_sum(away**2, axis=1)
        score = (raw / 2 - density.centre) / density.spread
        return {
            "probability": probability,
            "label": tf.where(probability >= thresholds.label, Label.TUMOR, Label.NO_TUMOR),
            "risk": risks(probability, thresholds),
            "in_distribution": score <= 1.0,
            "ood_score": score,
            # A class activation map (Zhou et al. 2016).
            "heatmap": calibrated(classifier.evidence(last, images)),
        }

    concrete = answer.get_concrete_function()
    frozen = convert_variables_to_constants_v2(concrete)
    names = sorted(concrete.structured_outputs)

    def call(images: tf.Tensor) -> Tensors:
        return dict(zip(names, frozen(images), strict=True))

    return call
