"""From slices in grey levels to what the model reads, the same for every kind of volume."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.imaging import MIN_SIDE, ScanError, is_blank, letterbox
from data.quality import check_quality
from data.studies import ScanSlice
from data.window import blank

#: Slices of one volume. A head at half a millimetre has 400; each costs 150 kB and an answer.
MAX_SLICES: Final = 512
#: Pixels of one slice: a screen's worth of a secondary capture; scanners stay below 1024 × 1024.
MAX_SLICE_PIXELS: Final = 4096 * 4096
#: Voxels of one volume: 512 slices of 512 × 512.
MAX_VOXELS: Final = 512**3
#: Pixels longer than this many times their width are an error of the header.
_MAX_ANISOTROPY: Final = 10.0
#: Longer side that stretching pixels to squares may lead to.
_MAX_STRETCHED: Final = 2048
#: A slice is empty unless this share of its pixels is brighter than an eighth of the window. A disc of
#: 2 % is 36 mm wide in a field of view of 224 mm: above that there is scalp, hardly any brain.
_TISSUE_SHARE: Final = 0.02
_TISSUE_LEVEL: Final = 32


def check_slices(count: int, rows: int, columns: int) -> None:
    """Refuse a volume by its size, before any pixel is decoded.

    Raises:
        ScanError: `too_many_slices`, `too_many_pixels` or `too_small`.
    """
    if count > MAX_SLICES:
        raise ScanError(
            "too_many_slices",
            f"The volume has more than {MAX_SLICES} slices. Send thicker slices or a part of it.",
        )
    if count * rows * columns > MAX_VOXELS:
        raise ScanError(
            "too_many_pixels",
            f"The volume has more than {MAX_VOXELS // 2**20} million voxels. Resample or crop it.",
        )
    if rows * columns > MAX_SLICE_PIXELS:
        raise ScanError(
            "too_many_pixels",
            f"A slice has more than {MAX_SLICE_PIXELS // 2**20} million pixels. "
            "Export it in the scanner's own resolution.",
        )
    if min(rows, columns) < MIN_SIDE:
        raise ScanError(
            "too_small",
            f"A slice is {columns} × {rows} pixels; the shorter side must have at least {MIN_SIDE}.",
        )


def check_spacing(rows_mm: float, columns_mm: float) -> None:
    """Refuse pixels that no scanner makes.

    Raises:
        ScanError: `bad_header`.
    """
    usable = np.isfinite([rows_mm, columns_mm]).all() and min(rows_mm, columns_mm) > 0
    if not usable or max(rows_mm, columns_mm) > _MAX_ANISOTROPY * min(rows_mm, columns_mm):
        raise ScanError(
            "bad_header", "The file states impossible sizes of its pixels. Export the series again."
        )


def as_image(levels: NDArray[np.uint8], spacing: tuple[float, float]) -> Image.Image:
    """A slice with square pixels.

    Args:
        levels: uint8 `[H, W]` or, in colour, `[H, W, 3]`.
        spacing: from row to row and from column to column, in the same unit.
    """
    image = Image.fromarray(np.ascontiguousarray(levels)).convert("RGB")
    height, width = image.height * spacing[0], image.width * spacing[1]
    pixel = max(min(spacing), max(height, width) / max(_MAX_STRETCHED, *image.size))
    square = max(1, round(width / pixel)), max(1, round(height / pixel))
    return image if square == image.size else image.resize(square, Image.Resampling.LANCZOS)


def as_slice(image: Image.Image) -> ScanSlice:
    """One slice of a volume for the model; grey, whatever its colours; of empty ones nothing is doubtful."""
    grey = image.convert("L")
    empty = sum(grey.histogram()[_TISSUE_LEVEL:]) < _TISSUE_SHARE * image.width * image.height
    findings = () if empty else tuple(check_quality(image))
    return ScanSlice(letterbox(grey.convert("RGB")), findings, empty)


def as_still(image: Image.Image) -> ScanSlice:
    """A slice that came alone; as with any still, it is asked about or refused.

    Raises:
        ScanError: `blank`.
    """
    grey = image.convert("L")
    if is_blank(grey):
        raise blank()
    return ScanSlice(letterbox(grey.convert("RGB")), tuple(check_quality(image)))


def as_volume(images: Iterable[Image.Image]) -> tuple[ScanSlice, ...]:
    """All slices of a volume; none of none.

    Raises:
        ScanError: `blank`, there is no tissue in any.
    """
    slices = tuple(as_slice(image) for image in images)
    if slices and all(one.empty for one in slices):
        raise blank()
    return slices
