"""EfficientNet-Lite0 in plain Keras 3, as trained and, with batch norms folded, as served.

EfficientNet (Tan and Le, 2019, arXiv:1905.11946) without squeeze-and-excite, with ReLU6 instead of swish
and with a stem and head of fixed width: made for CPUs and for quantisation. The ImageNet weights in
`training/weights/` follow this layer order.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

#: ImageNet weights without the classifier, Apache-2.0; their README tells the origin.
WEIGHTS: Final = Path(__file__).parent / "weights" / "efficientnet_lite0_imagenet_notop.weights.h5"
FEATURES: Final = 1280
BATCH_NORM_EPSILON: Final = 1e-3


class Block(NamedTuple):
    """One inverted-residual block: expand, depthwise convolution, project."""

    kernel: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int


#: (repeats, kernel, stride of the first, expansion, channels in, channels out) of each stage.
_STAGES: Final = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


def blocks() -> Iterator[Block]:
    """The 16 blocks in order."""
    for repeats, kernel, stride, expansion, channels_in, channels_out in _STAGES:
        for repeat in range(repeats):
            first = repeat == 0
            yield Block(
                kernel,
                stride if first else 1,
                expansion,
                channels_in if first else channels_out,
                channels_out,
            )


def efficientnet_lite0(*, channels: int = 3, folded: bool = False) -> keras.Model:
    """Build the backbone without weights.

    Args:
        channels: of the input; 1 for the folded network, whose stem sums over equal colours.
        folded: convolutions carry biases and there is no batch norm (see `fold`).

    Returns:
        A model from float32 `[N, H, W, channels]`, normalised as `(x - 127) / 128`, to the last feature
        map, float32 `[N, ceil(H/32), ceil(W/32), 1280]`, 0..6.
    """

    def normed(x: keras.KerasTensor, layer: layers.Layer, *, relu: bool) -> keras.KerasTensor:
        x = layer(x)
        if not folded:
            x = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{layer.name}_bn")(x)
        return layers.ReLU(6.0, name=f"{layer.name}_relu")(x) if relu else x

    def conv(filters: int, kernel: int, name: str, *, stride: int = 1) -> layers.Layer:
        return layers.Conv2D(
            filters, kernel, strides=stride, padding="same", use_bias=folded, name=name
        )

    inputs = keras.Input((None, None, channels), name="normalised")
    x = normed(inputs, conv(32, 3, "stem", stride=2), relu=True)
    for i, block in enumerate(blocks()):
        shortcut, name = x, f"block{i}"
        if block.expansion != 1:
            expanded = conv(block.channels_in * block.expansion, 1, f"{name}_expand")
            x = normed(x, expanded, relu=True)
        depthwise = layers.DepthwiseConv2D(
            block.kernel,
            strides=block.stride,
            padding="same",
            use_bias=folded,
            name=f"{name}_depthwise",
        )
        x = normed(x, depthwise, relu=True)
        x = normed(x, conv(block.channels_out, 1, f"{name}_project"), relu=False)
        if block.stride == 1 and block.channels_in == block.channels_out:
            x = layers.Add(name=f"{name}_add")([shortcut, x])
    x = normed(x, conv(FEATURES, 1, "head"), relu=True)
    return keras.Model(inputs, x, name="efficientnet_lite0")


def fold(trained: keras.Model) -> keras.Model:
    """The same function for grey input, each batch norm merged into the convolution before it.

    `y = γ (w∗x - μ) / √(σ² + ε) + β` is again a convolution, with kernel `w γ / √(σ² + ε)` and bias
    `β - μ γ / √(σ² + ε)`. Keras exports an inference batch norm as an unfused multiply and add, which
    costs about a quarter of the time. The stem's kernel is summed over its three input channels, since
    the network only ever sees grey images.

    Args:
        trained: an `efficientnet_lite0()`.

    Returns:
        `efficientnet_lite0(channels=1, folded=True)` with weights.
    """
    served = efficientnet_lite0(channels=1, folded=True)
    for layer in served.layers:
        if not layer.weights:
            continue
        kernel: NDArray[np.float32] = trained.get_layer(layer.name).get_weights()[0]
        norm = trained.get_layer(f"{layer.name}_bn")
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        if layer.name == "stem":
            kernel = kernel.sum(axis=2, keepdims=True)
        # A depthwise kernel is [k, k, channels, 1], any other [k, k, in, out].
        is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
        layer.set_weights(
            [kernel * (scale[:, None] if is_depthwise else scale), beta - mean * scale]
        )
    return served
