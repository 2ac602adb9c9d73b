"""The contract between the exported model and everything that calls it (signatures and tensors).

TensorFlow-free, so that the client and the page can import it. `training.export` builds graphs that
fulfil it, `serving.client` checks a server against it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from data.imaging import IMAGE_SIZE
from data.labels import Label

__all__ = ["DECISION", "IMAGE_SHAPE", "MODEL_NAME", "RGB_BYTES", "SIGNATURES", "Label", "Risk"]

MODEL_NAME: Final = "brain_tumor"
#: One image on the wire: uint8, RGB, letterboxed.
IMAGE_SHAPE: Final = (IMAGE_SIZE, IMAGE_SIZE, 3)
#: Length of one element of `rgb_bytes`: the image's rows, top to bottom, three bytes a pixel.
RGB_BYTES: Final = IMAGE_SIZE * IMAGE_SIZE * 3


class Risk(StrEnum):
    """Where a probability lies between the two thresholds of the version; medium means "unsure"."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of one tensor; every shape has a leading batch dimension, written None."""

    dtype: str
    shape: tuple[int | None, ...]

    def admits(self, other: "TensorSpec") -> bool:
        """Whether a tensor of the other kind is one of this kind, sizes that are open here being any."""
        return (
            self.dtype == other.dtype
            and len(self.shape) == len(other.shape)
            and all(
                mine in (None, size) for mine, size in zip(self.shape, other.shape, strict=True)
            )
        )


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs by tensor name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    def is_fulfilled_by(self, other: "Signature") -> bool:
        """Whether who relies on this signature can be served by the other one."""
        return (
            self.inputs == other.inputs
            and self.outputs.keys() == other.outputs.keys()
            and all(spec.admits(other.outputs[name]) for name, spec in self.outputs.items())
        )


_IMAGES: Final = {"images": TensorSpec("uint8", (None, *IMAGE_SHAPE))}
#: What every diagnosis carries. `probability` is calibrated P(tumour), 0..1.
DECISION: Final = {
    "probability": TensorSpec("float32", (None,)),
    "label": TensorSpec("string", (None,)),
    "risk": TensorSpec("string", (None,)),
    "in_distribution": TensorSpec("bool", (None,)),
    "ood_score": TensorSpec("float32", (None,)),
}

SERVING_DEFAULT: Final = "serving_default"
EXPLAIN: Final = "explain"
#: For REST: base64 of the raw RGB bytes, 201 kB of JSON an image. An element of the wrong length gets a
#: sentence in `error`, probability -1, empty label and risk; its neighbours in the batch are not touched.
RGB: Final = "rgb"
#: The version's model card, one string for each element of `format`: "json" or "markdown".
CARD: Final = "card"

SIGNATURES: Final = {
    SERVING_DEFAULT: Signature(_IMAGES, DECISION),
    EXPLAIN: Signature(_IMAGES, DECISION | {"heatmap": TensorSpec("float32", (None, None, None))}),
    RGB: Signature(
        {"rgb_bytes": TensorSpec("string", (None,))},
        DECISION | {"error": TensorSpec("string", (None,))},
    ),
    CARD: Signature(
        {"format": TensorSpec("string", (None,))}, {"card": TensorSpec("string", (None,))}
    ),
}
