"""From the values of a scanner to 256 grey levels.

A file may say which values its maker looked at: a window or a look-up table. Where it does not, the
window comes from the values of the whole volume, never of single slices: a window for each slice would
lift the noise of one without tissue to full contrast, and make a lesion darker in the slice that
shows most of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from data.imaging import MIN_GREY_RANGE, ScanError

#: Percentile of all values that becomes black: air has noise, and padding may lie below it.
_BLACK: Final = 1.0
#: Percentile above which values do not count for the mean: one broken voxel would move it.
_OUTLIERS: Final = 99.9
#: Percentile, of the values above the mean, that becomes white. Air is half of most volumes and nine
#: tenths of one without its skull: a percentile of everything would burn out other tissue in each.
_WHITE: Final = 99.5
#: Slices of which the window of a volume is taken.
_SAMPLED: Final = 16


class Mapping(Protocol):
    """Values to levels."""

    def levels(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Grey levels 0..255 of values, in the same shape; NaN becomes 0."""
        ...


@dataclass(frozen=True)
class Window:
    """Linear between two values, or DICOM's sigmoid about their middle.

    Attributes:
        low: becomes 0, as does anything below.
        high: becomes 255, as does anything above; above `low`.
    """

    low: float
    high: float
    sigmoid: bool = False

    def levels(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Grey levels 0..255 of values, in the same shape; NaN becomes 0."""
        with np.errstate(over="ignore"):  # infinitely far outside is black or white, too
            share = (values - np.float32(self.low)) / np.float32(self.high - self.low)
            if self.sigmoid:
                share = 1 / (1 + np.exp(np.clip(2 - 4 * share, -50, 50)))
        return _to_levels(share)


@dataclass(frozen=True)
class LookupTable:
    """Levels by value.

    Attributes:
        first: value of the first entry.
        table: uint8 `[N]`; values outside take the nearest end.
    """

    first: int
    table: NDArray[np.uint8]

    def levels(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Grey levels 0..255 of values, in the same shape; NaN becomes 0."""
        known = np.isfinite(values)
        entry = np.clip(np.where(known, values, 0) - self.first, 0, len(self.table) - 1)
        return np.where(known, self.table[entry.astype(np.intp)], np.uint8(0))


def sampled(length: int) -> NDArray[np.intp]:
    """Which slices of a volume to take its window of: some, evenly spread, both ends among them."""
    return np.unique(np.linspace(0, length - 1, _SAMPLED).astype(np.intp))


def robust_window(values: NDArray[np.float32]) -> Window:
    """The window for values that come without one.

    Args:
        values: of a volume, any shape; NaN is passed over.

    Raises:
        ScanError: `blank`, they are all the same, or none is a number.
    """
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known) or known.min() == known.max():
        raise blank()
    low, top = np.percentile(known, (_BLACK, _OUTLIERS))
    brighter = known[known > known.clip(low, top).mean()]
    high = float(np.percentile(brighter, _WHITE)) if len(brighter) else low
    return Window(float(low), high) if _far_apart(low, high) else _whole_range(known)


def choose_mapping(stated: Sequence[Mapping], values: NDArray[np.float32]) -> Mapping:
    """One mapping for all slices of a volume.

    Stated windows often differ a little from slice to slice; the median keeps slices comparable. One
    that shows nothing of the values is passed over.

    Args:
        stated: what the file says of its slices; empty if nothing.
        values: a sample of the volume, any shape.

    Raises:
        ScanError: `blank`, as `robust_window`.
    """
    robust = robust_window(values)
    tables = [one for one in stated if isinstance(one, LookupTable)]
    windows = [one for one in stated if isinstance(one, Window)]
    mapping: Mapping = robust
    if tables:
        mapping = tables[0]
    elif windows:
        low = float(np.median([one.low for one in windows]))
        high = float(np.median([one.high for one in windows]))
        if _far_apart(low, high):
            mapping = Window(low, high, windows[0].sigmoid)
    shown = mapping.levels(values)
    return mapping if int(shown.max()) - int(shown.min()) >= MIN_GREY_RANGE else robust


def blank() -> ScanError:
    """The error for values that show nothing."""
    return ScanError("blank", "The file shows no contrast anywhere. Send another series.")


def _whole_range(known: NDArray[np.float64]) -> Window:
    low, high = float(known.min()), float(known.max())
    if not _far_apart(low, high):
        raise blank()
    return Window(low, high)


def _far_apart(low: float, high: float) -> bool:
    """Whether single precision tells them apart."""
    return float(np.finfo(np.float32).tiny) < high - low < float(np.finfo(np.float32).max)


def _to_levels(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    clipped = np.clip(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return np.rint(clipped * 255).astype(np.uint8)
