"""The network that is trained: grey image, random view, backbone, a logit for each cell, pooled into one."""

from typing import Final

import keras
from keras import layers, ops

from data.imaging import IMAGE_SIZE
from training import efficientnet_lite
from training.augment import RandomView
from training.evidence import LogMeanExp, OutlineLoss

LITE0: Final = "efficientnet_lite0"
#: ITU-R 601 luma, the grey of Pillow's `convert("L")` up to rounding.
LUMA: Final = (0.299, 0.587, 0.114)
#: Backbones of `keras.applications`, whose ImageNet weights Keras downloads; input scaled to -1..1.
APPLICATIONS: Final = {
    "mobilenet_v2": keras.applications.MobileNetV2,
    "resnet50_v2": keras.applications.ResNet50V2,
}
#: The layer that crops or scales to the network's size.
FRAMED: Final = "framed"
#: Trained from random weights, not from ImageNet.
CNN: Final = "cnn"
BACKBONES: Final = (LITE0, *APPLICATIONS, CNN)
_CNN_FILTERS: Final = (32, 64, 128, 256, 256)


class Grey(layers.Layer):
    """uint8 or float `[N, H, W, 3]`, 0..255 → grey float32 `[N, H, W, 1]`, 0..1.

    Colour holds nothing of an MRI scan, only of the program that saved it.
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")  # coordinates and grey levels need it

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Weigh the colours."""
        red, green, blue = (images[..., i : i + 1] for i in range(3))
        to_float = lambda channel, weight: ops.cast(channel, "float32") * (weight / 255.0)  # noqa: E731
        return to_float(red, LUMA[0]) + to_float(green, LUMA[1]) + to_float(blue, LUMA[2])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One channel."""
        return (*input_shape[:3], 1)


class Standardise(layers.Layer):
    """Crop to the head and stretch its grey levels: field of view, border and exposure tell the source.

    Call on grey float32 `[N, S, S, 1 + K]`, 0..1; returns `[N, side, side, 1 + K]`, 0..1, in which the
    square around the head, with a margin of 4 %, fills the image and the brightest 0.5 % of the pixels of
    the first channel are 1. Further channels are cropped alike, but not stretched.
    """

    AIR: Final = 0.1
    BRIGHTEST: Final = 0.005
    SMALLEST: Final = 0.25
    #: Sides that shrink by more are scaled with antialiasing, in a second step that costs as much again.
    SHRUNK: Final = 1.25

    def __init__(self, *, side: int, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")  # coordinates and grey levels need it
        self.side = side

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Stretch, crop, scale."""
        size, channels = images.shape[1], images.shape[3]
        grey = self._stretched(images[..., :1])
        scale, left, top = self._squares(grey)
        images = ops.concatenate([grey, images[..., 1:]], axis=-1) if channels > 1 else grey
        shrunk = size / self.side
        if shrunk > self.SHRUNK:
            images = ops.image.affine_transform(images, _affine(scale, left, top))
            images = ops.image.resize(images, (self.side, self.side), antialias=True)
        else:
            # Pixel p of the result has its centre at (p + 0.5) shrunk - 0.5 of the whole square.
            start = scale * (shrunk - 1.0) / 2
            transform = _affine(scale * shrunk, left + start, top + start)
            images = ops.image.affine_transform(images, transform)[:, : self.side, : self.side]
        return ops.reshape(
            images, (-1, self.side, self.side, channels)
        )  # a transform forgets the shape

    def back(self, cells: keras.KerasTensor, images: keras.KerasTensor) -> keras.KerasTensor:
        """Lay a map of what this layer returned over what it was given.

        Args:
            cells: `[N, h, h, C]`, a map of the crops, 0 or more.
            images: grey float32 `[N, S, S, 1]`, what was cropped.

        Returns:
            `[N, h, h, C]`, a map of the whole images; 0 outside the crop.
        """
        scale, left, top = self._squares(self._stretched(images))
        # Cell c of h has its centre at pixel (c + 0.5) S / h - 0.5; the inverse of the crop, in cells.
        cell = images.shape[1] / cells.shape[1]
        offset = lambda start: (((cell - 1) / 2 - start) / scale + 0.5) / cell - 0.5  # noqa: E731
        laid = ops.image.affine_transform(cells, _affine(1 / scale, offset(left), offset(top)))
        return ops.reshape(laid, (-1, *cells.shape[1:]))

    def _stretched(self, images: keras.KerasTensor) -> keras.KerasTensor:
        some = images[:, ::2, ::2]  # a quarter of the pixels rank the brightest as well
        pixels = some.shape[1] ** 2
        flat = ops.reshape(some, (-1, pixels))
        top = ops.top_k(flat, int(self.BRIGHTEST * pixels), sorted=True)[0][:, -1]
        return ops.clip(images / ops.maximum(top, 0.1)[:, None, None, None], 0.0, 1.0)

    def _squares(self, images: keras.KerasTensor) -> tuple[keras.KerasTensor, ...]:
        """Side of the square around each head, as a share of the image, and its left and top in pixels."""
        size = images.shape[1]
        tissue = ops.cast(images[..., 0] > self.AIR, "float32")
        across = [_extent(ops.mean(tissue, axis=axis), self.SMALLEST) for axis in (1, 2)]
        (left, right), (top, bottom) = across
        scale = ops.maximum(right - left, bottom - top) * 1.08 / size
        centre = (size - 1) / 2
        return scale, (left + right) / 2 - scale * centre, (top + bottom) / 2 - scale * centre

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Of the side asked for."""
        return (input_shape[0], self.side, self.side, input_shape[3])


def _affine(
    scale: keras.KerasTensor, left: keras.KerasTensor, top: keras.KerasTensor
) -> keras.KerasTensor:
    """`[N, 8]`, output position → input position, as `keras.ops.image.affine_transform` takes it."""
    zero = ops.zeros_like(scale)
    return ops.stack([scale, zero, left, zero, scale, top, zero, zero], axis=1)


def _extent(
    share: keras.KerasTensor, smallest: float
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """First and last position `[N]` where the share of tissue, `[N, S]`, is 3 % or more."""
    size = share.shape[1]
    positions = ops.arange(size, dtype="float32")[None]
    present = share > 0.03
    first = ops.min(ops.where(present, positions, float(size)), axis=1)
    last = ops.max(ops.where(present, positions, -1.0), axis=1)
    found = last - first > smallest * size
    return ops.where(found, first, 0.0), ops.where(found, last, size - 1.0)


def small_cnn() -> keras.Model:
    """Five blocks of convolution, batch norm, ReLU and max-pooling.

    Returns:
        A model from float32 `[N, H, W, 3]` to the last feature map, `[N, H/32, W/32, 256]`.
    """
    x = inputs = keras.Input((None, None, 3), name="normalised")
    for i, filters in enumerate(_CNN_FILTERS):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{i}_conv")(x)
        x = layers.BatchNormalization(name=f"block{i}_bn")(x)
        x = layers.ReLU(name=f"block{i}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{i}_pool")(x)
    return keras.Model(inputs, x, name=CNN)


def build_backbone(name: str, *, pretrained: bool = True) -> keras.Model:
    """A backbone with ImageNet weights, ending at its last feature map.

    Args:
        name: one of `BACKBONES`. All but EfficientNet-Lite0 download their weights through Keras.
        pretrained: false for random weights, when trained ones are loaded afterwards.
    """
    if name == CNN:
        return small_cnn()
    if name == LITE0:
        backbone = efficientnet_lite.efficientnet_lite0()
        if pretrained:
            backbone.load_weights(efficientnet_lite.WEIGHTS)
        return backbone
    return APPLICATIONS[name](
        include_top=False,
        weights="imagenet" if pretrained else None,
        input_shape=(None, None, 3),
    )


def normalise(grey: keras.KerasTensor, backbone: str) -> keras.KerasTensor:
    """Grey 0..1 → what the backbone's ImageNet training saw: `(x - 127) / 128`, or -1..1."""
    if backbone == LITE0:
        return (grey * 255.0 - 127.0) / 128.0
    return grey * 2.0 - 1.0


def build_network(
    backbone: str = LITE0,
    *,
    image_size: int = IMAGE_SIZE,
    dropout: float = 0.3,
    seed: int = 0,
    pretrained: bool = True,
    standardised: bool = False,
    random_networks: bool = True,
    pooling: str = "mean",
) -> keras.Model:
    """The whole network, from pixels to the logit of P(tumour).

    Args:
        backbone: one of `BACKBONES`.
        image_size: side that the 224 pixels are scaled to; smaller trains faster.
        dropout: rate before the last layer.
        seed: of augmentation and dropout.
        pretrained: start the backbone from ImageNet.
        standardised: crop to the head and stretch the grey levels first (see `Standardise`).
        random_networks: part of the augmentation (see `RandomView`).
        pooling: `mean` or `log_mean_exp`, from the cells' logits to the scan's.

    Returns:
        A model from uint8 `[N, 224, 224, 3]`, RGB, to float32 `[N, 1]`, an uncalibrated logit. Its
        sub-model is the layer `backbone`; `evidence` are the cells' logits, float32 `[N, h, w, 1]`.
    """
    inputs = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8", name="images")
    if standardised:
        framed: layers.Layer = Standardise(side=image_size, name=FRAMED)
    else:
        framed = layers.Resizing(
            image_size, image_size, antialias=True, dtype="float32", name=FRAMED
        )
    x = framed(Grey(name="grey")(inputs))
    x = RandomView(seed=seed, random_networks=random_networks, name="random_view")(x)
    x = ops.concatenate([normalise(x, backbone)] * 3, axis=-1)
    model = build_backbone(backbone, pretrained=pretrained)
    model.name = "backbone"
    x = layers.SpatialDropout2D(dropout, seed=seed, name="dropout")(model(x))
    x = layers.Dense(1, name="evidence", dtype="float32")(x)
    pool = LogMeanExp if pooling == "log_mean_exp" else layers.GlobalAveragePooling2D
    return keras.Model(inputs, pool(name="logit")(x), name="tumour_network")


def taught_by_outlines(network: keras.Model, *, backbone: str, weight: float) -> keras.Model:
    """The same network, sharing its weights, with a loss on local evidence where outlines are known.

    Args:
        network: from `build_network`.
        backbone: its name.
        weight: of that loss beside the label's.

    Returns:
        A model from images as before, outlines, uint8 `[N, 224, 224, 1]`, 255 where a tumour is, and
        float32 `[N, 1]`, 1 where the outline is known, to the logit. Outlines are cropped and moved as
        the images are.
    """
    outlines = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1), dtype="uint8", name="outlines")
    outlined = keras.Input((1,), name="outlined")
    layer = network.get_layer
    white = ops.cast(outlines, "float32") / 255.0
    x = ops.concatenate([layer("grey")(network.inputs[0]), white], axis=-1)
    x = layer("random_view")(layer(FRAMED)(x))
    x, moved = x[..., :1], x[..., 1:]
    x = ops.concatenate([normalise(x, backbone)] * 3, axis=-1)
    x = layer("evidence")(layer("dropout")(layer("backbone")(x)))
    x = OutlineLoss(weight=weight, name="outline_loss")(x, moved, outlined)
    return keras.Model([network.inputs[0], outlines, outlined], layer("logit")(x))
