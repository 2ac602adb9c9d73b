"""From local evidence to one logit, and outlines of tumours as a teacher of where it should lie."""

import keras
from keras import ops

#: Share of a cell that a tumour must cover to make the cell fully positive.
_COVERED: float = 0.25
#: A positive cell counts as much as this many negative ones: a tumour covers few.
_POSITIVE: float = 3.0


class LogMeanExp(keras.layers.Layer):
    """The logit of a scan from those of its cells: `log(mean(exp(local)))`, a smooth maximum.

    A tumour is somewhere, not everywhere: a mean lets a small one drown (Pinheiro and Collobert 2015,
    arXiv:1411.6228). Call on `[N, h, w, 1]`; returns `[N, 1]`.
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")

    def call(self, local: keras.KerasTensor) -> keras.KerasTensor:
        """Pool."""
        cells = local.shape[1] * local.shape[2]
        return ops.logsumexp(local, axis=(1, 2)) - ops.log(float(cells))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One number a scan."""
        return (input_shape[0], 1)


class OutlineLoss(keras.layers.Layer):
    """Adds a loss where local evidence and a known outline disagree; returns the evidence unchanged."""

    def __init__(self, *, weight: float, name: str | None = None) -> None:
        """Make the layer.

        Args:
            weight: of this loss beside that of the label.
            name: of the layer.
        """
        super().__init__(name=name, dtype="float32")
        self._weight = weight

    def call(
        self, local: keras.KerasTensor, outlines: keras.KerasTensor, outlined: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Compare.

        Args:
            local: `[N, h, w, 1]`, logits.
            outlines: `[N, H, W, 1]`, 0..1, in the same field of view.
            outlined: `[N, 1]`, 1 where the outline is known, 0 where it is not.
        """
        size = outlines.shape[1] // local.shape[1]
        covered = ops.average_pool(outlines, size, strides=size)
        target = ops.clip(covered / _COVERED, 0.0, 1.0)
        losses = _POSITIVE * target * ops.softplus(-local) + (1.0 - target) * ops.softplus(local)
        known = ops.mean(losses, axis=(1, 2)) * outlined
        self.add_loss(self._weight * ops.mean(known))
        return local

    def compute_output_shape(
        self, local: tuple[int | None, ...], *_others: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """As of the evidence."""
        return local
