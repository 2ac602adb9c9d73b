"""How the slices of a volume lie in the head, and how they are shown: anterior or superior up.

Directions are vectors in the patient's frame as DICOM has it: towards the left, posterior, superior.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LEFT, _POSTERIOR, _SUPERIOR = np.eye(3)


class Plane(StrEnum):
    """Orientation of the slices of a volume."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


#: By the axis that slices are stacked along, left, posterior, superior.
PLANES: Final = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)
#: What points right and what points down where a radiologist looks at it: the patient's right side is
#: on the left of the picture, the face on top or on the left.
_SHOWN: Final = {
    Plane.AXIAL: (_LEFT, _POSTERIOR),
    Plane.CORONAL: (_LEFT, -_SUPERIOR),
    Plane.SAGITTAL: (_POSTERIOR, -_SUPERIOR),
}
#: Which way slices are counted: up, forwards, to the right, as the axes of NIfTI.
_COUNTED: Final = {
    Plane.AXIAL: _SUPERIOR,
    Plane.CORONAL: -_POSTERIOR,
    Plane.SAGITTAL: -_LEFT,
}


@dataclass(frozen=True)
class View:
    """How a slice as stored becomes a slice as shown.

    Attributes:
        plane: the nearest one.
        transposed: rows and columns change places first.
        mirrored: then left and right.
        upside_down: and top and bottom.
        normal: along which slices are counted, float64 `[3]`.
    """

    plane: Plane
    transposed: bool
    mirrored: bool
    upside_down: bool
    normal: NDArray[np.float64]

    def show(self, pixels: NDArray) -> NDArray:
        """The slice as shown, a view of `[H, W]` or `[H, W, 3]`."""
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        if self.mirrored:
            pixels = pixels[:, ::-1]
        return pixels[::-1] if self.upside_down else pixels


def view_of(right: NDArray[np.float64], down: NDArray[np.float64]) -> View:
    """The view of slices from where their rows and columns run to.

    Args:
        right: towards which the column number grows, a unit vector.
        down: towards which the row number grows, a unit vector across `right`.
    """
    normal = np.cross(right, down)
    plane = PLANES[int(np.argmax(np.abs(normal)))]
    if normal @ _COUNTED[plane] < 0:
        normal = -normal
    shown_right, shown_down = _SHOWN[plane]
    transposed = abs(right @ shown_right) < abs(right @ shown_down)
    if transposed:
        right, down = down, right
    return View(
        plane, bool(transposed), bool(right @ shown_right < 0), bool(down @ shown_down < 0), normal
    )
