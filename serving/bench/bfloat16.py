"""The same graph with convolutions and products in bfloat16: how far its answers are off.

TensorFlow's optimiser rewrites the graph when it is first run under this option, so one loaded model is
measured with and without it in turns. It gains only where the processor multiplies bfloat16.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_OPTION: Final = "auto_mixed_precision_onednn_bfloat16"
#: Largest change of P(tumour) that costs no accuracy, if no decision changes as well.
TOLERANCE: Final = 0.02
_DECISIONS: Final = ("label", "risk", "in_distribution")
_BATCH: Final = 8


@dataclass(frozen=True)
class Accuracy:
    """What bfloat16 changes on some scans.

    Attributes:
        scans: how many.
        largest_difference: of P(tumour).
        changed: scans with another value, for label, risk and in_distribution.
    """

    scans: int
    largest_difference: float
    changed: dict[str, int]

    @property
    def passed(self) -> bool:
        """Whether it may be considered at all."""
        return self.largest_difference <= TOLERANCE and not any(self.changed.values())


@contextmanager
def bfloat16() -> Iterator[None]:
    """Graphs that are run within the block, by this thread or by new ones, use bfloat16."""
    tf.config.optimizer.set_experimental_options({_OPTION: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OPTION: False})


def accuracy(signature: Callable[..., Any], scans: NDArray[np.uint8]) -> Accuracy:
    """Compare the answers to scans, uint8 `[N, 224, 224, 3]`, with those in float32."""
    usual = _answers(signature, scans)
    with bfloat16():
        reduced = _answers(signature, scans)
    difference = np.abs(usual["probability"] - reduced["probability"])
    changed = {name: int((usual[name] != reduced[name]).sum()) for name in _DECISIONS}
    return Accuracy(len(scans), float(difference.max()), changed)


def _answers(signature: Callable[..., Any], scans: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    parts = [
        signature(images=tf.constant(scans[begin : begin + _BATCH]))
        for begin in range(0, len(scans), _BATCH)
    ]
    return {
        name: np.concatenate([part[name].numpy() for part in parts])
        for name in ("probability", *_DECISIONS)
    }
