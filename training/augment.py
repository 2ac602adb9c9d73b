"""Random views of a scan, drawn inside the network and only while it trains.

Two aims. The ordinary one: rotations, flips, zoom, brightness and contrast as a scanner and a radiographer
vary them. The particular one: in the public collections the class can be told from the source (border,
sharpness, contrast, sequence) without looking at the brain, so the cues of a source are shaken: crops
and shifts move the border, a smooth remapping of grey levels mixes T1, T2 and FLAIR contrasts, blur,
sharpening, low resolution and noise hide a camera's or a codec's hand.

All of it works on grey levels 0..1 before the network normalises them; clipping there is what a real
image file does too.
"""

import keras
import numpy as np
from keras import ops, random

#: Width of the random network that remaps grey levels.
_HIDDEN: int = 4


class RandomView(keras.layers.Layer):
    """Draw one random view of each image; the identity outside training.

    Call on float32 `[N, H, W, 1 + K]`, 0..1; returns the same shape and range. Grey levels of the first
    channel change; further ones, such as an outline, are only moved with it.
    """

    def __init__(self, *, seed: int, random_networks: bool = True, name: str | None = None) -> None:
        """Make the layer.

        Args:
            seed: of all draws.
            random_networks: let random networks remap the grey levels of some images.
            name: of the layer.
        """
        super().__init__(name=name, dtype="float32")  # coordinates and grey levels need it
        self._seed = random.SeedGenerator(seed)
        self._random_networks = random_networks

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Draw the views."""
        if not training:
            return images
        moved = self._move(images)
        images, others = moved[..., :1], moved[..., 1:]
        if self._random_networks:
            images = self._remap_by_network(images)
        images = self._remap_grey_levels(images)
        images = self._degrade(images)
        images = ops.clip(images, 0.0, 1.0)
        return ops.concatenate([images, others], axis=-1) if moved.shape[3] > 1 else images

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape stays."""
        return input_shape

    def _uniform(self, images: keras.KerasTensor, low: float, high: float) -> keras.KerasTensor:
        """One number for each image, shaped to broadcast over it."""
        return random.uniform((ops.shape(images)[0], 1, 1, 1), low, high, seed=self._seed)

    def _chosen(self, images: keras.KerasTensor, probability: float) -> keras.KerasTensor:
        """1.0 for the images that a step applies to, 0.0 for the others."""
        return ops.cast(self._uniform(images, 0.0, 1.0) < probability, "float32")

    def _move(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Rotate by up to 20°, flip, zoom 0.8 to 1.3 with a little anisotropy, shift by up to 10 %."""
        flat = lambda tensor: tensor[:, 0, 0, 0]  # noqa: E731
        angle = flat(self._uniform(images, -np.pi / 9, np.pi / 9))
        zoom = ops.exp(flat(self._uniform(images, np.log(0.8), np.log(1.3))))
        aspect = ops.exp(flat(self._uniform(images, -0.1, 0.1)))
        mirror_x = 1.0 - 2.0 * flat(self._chosen(images, 0.5))
        mirror_y = 1.0 - 2.0 * flat(self._chosen(images, 0.25))
        side = images.shape[1]
        shift_x = flat(self._uniform(images, -0.1, 0.1)) * side
        shift_y = flat(self._uniform(images, -0.1, 0.1)) * side
        # Output pixel (x, y) is read at A (p - c) + c + shift, c the centre.
        a = ops.cos(angle) * mirror_x * aspect / zoom
        b = -ops.sin(angle) * mirror_y / zoom
        d = ops.sin(angle) * mirror_x / zoom
        e = ops.cos(angle) * mirror_y / (zoom * aspect)
        centre = (side - 1) / 2
        offset_x = centre + shift_x - (a + b) * centre
        offset_y = centre + shift_y - (d + e) * centre
        zero = ops.zeros_like(a)
        transform = ops.stack([a, b, offset_x, d, e, offset_y, zero, zero], axis=1)
        return ops.image.affine_transform(images, transform)

    def _remap_grey_levels(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Gamma, a smooth bend of the grey scale, sometimes inversion; black stays black.

        The bend `x + a sin(πx) + b sin(2πx)` need not be monotonic: it stands for another sequence, in
        which fluid, white and grey matter change places.
        """
        images = ops.power(images + 1e-6, ops.exp(self._uniform(images, -0.35, 0.35)))
        bend_1 = self._uniform(images, -0.15, 0.25) * ops.sin(np.pi * images)
        bend_2 = self._uniform(images, -0.15, 0.15) * ops.sin(2 * np.pi * images)
        images = ops.clip(images + bend_1 + bend_2, 0.0, 1.0)
        foreground = ops.sigmoid((images - 0.08) * 60.0)
        inverted = (1.0 - images) * foreground
        images = images + self._chosen(images, 0.1) * (inverted - images)
        # A bias field: coils see near tissue brighter.
        side = images.shape[1]
        ramp = ops.linspace(-1.0, 1.0, side)
        field = self._uniform(images, -0.25, 0.25) * ops.reshape(ramp, (1, side, 1, 1))
        field = field + self._uniform(images, -0.25, 0.25) * ops.reshape(ramp, (1, 1, side, 1))
        brightness, contrast = self._uniform(images, 0.8, 1.2), self._uniform(images, 0.8, 1.2)
        mean = ops.mean(images, axis=(1, 2), keepdims=True)
        return ops.clip((images - mean) * contrast + mean, 0.0, 1.0) * brightness * ops.exp(field)

    def _remap_by_network(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Half of the images through a random shallow network each: an appearance no scanner has; air stays.

        Global intensity non-linear augmentation (Ouyang et al. 2022, arXiv:2111.12525) with one hidden
        layer: shapes remain, grey levels and fine texture change, in any mixture with the original.
        """
        count, side = ops.shape(images)[0], images.shape[1]
        normal = lambda *shape: random.normal(shape, seed=self._seed)  # noqa: E731
        # Every image is a channel, so that each gets kernels of its own; half of those see one pixel.
        centre = np.zeros((3, 3, 1, 1), "float32")
        centre[1, 1] = 1.0
        pointwise = ops.cast(random.uniform((1, 1, count, 1), seed=self._seed) < 0.5, "float32")
        kernels = normal(3, 3, count, _HIDDEN) * (centre + (1.0 - centre) * (1.0 - pointwise) * 0.3)
        hidden = ops.depthwise_conv(ops.transpose(images, (3, 1, 2, 0)), kernels, padding="same")
        hidden = ops.reshape(hidden, (side, side, count, _HIDDEN)) + 0.5 * normal(count, _HIDDEN)
        mixed = ops.sum(ops.leaky_relu(hidden, 0.1) * normal(count, _HIDDEN), axis=-1)
        mixed = ops.transpose(mixed, (2, 0, 1))[..., None]
        low = ops.min(mixed, axis=(1, 2), keepdims=True)
        high = ops.max(mixed, axis=(1, 2), keepdims=True)
        remapped = (mixed - low) / (high - low + 1e-3) * ops.sigmoid((images - 0.08) * 60.0)
        share = self._chosen(images, 0.5) * self._uniform(images, 0.0, 1.0)
        return images + share * (remapped - images)

    def _degrade(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Blur or sharpen, lower the resolution, add noise, each on some of the images."""
        side = images.shape[1]
        smooth = ops.average_pool(images, 3, strides=1, padding="same")
        amount = self._chosen(images, 0.5) * self._uniform(images, -0.8, 1.0)
        images = images + amount * (smooth - images)
        small = ops.image.resize(images, (side // 2, side // 2), antialias=True)
        coarse = ops.image.resize(small, (side, side))
        images = images + self._chosen(images, 0.2) * (coarse - images)
        deviation = self._chosen(images, 0.5) * self._uniform(images, 0.0, 0.06)
        noise = random.normal(ops.shape(images), seed=self._seed)
        return images + deviation * noise
