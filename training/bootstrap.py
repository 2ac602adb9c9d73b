"""95 % intervals by drawing whole groups with replacement.

Scans of one group (a patient, or all copies of a picture) are not independent, so groups are drawn, not
scans (cluster bootstrap with percentile intervals; Davison and Hinkley 1997, sections 3.8 and 5.3). A
resample is a row of weights: how often each scan occurs in it. A statistic takes a block of such rows
and returns one number for each, so that 2,000 resamples of 1,500 scans take a second.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95
#: Weights held at once: 64 MB.
_BLOCK: Final = 8_000_000

#: Weights `[R, N]` → named statistics, each `[R]`, NaN where one is not defined.
Statistics = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]


class Figure(TypedDict):
    """One statistic: its value on the data and its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


UNDEFINED: Final = Figure(value=None, low=None, high=None)


class Replicates(NamedTuple):
    """A statistic on the data as they are, and on every resample `[RESAMPLES]`; NaN: not defined."""

    value: float
    resampled: NDArray[np.float64]


def bootstrap(
    statistics: Statistics, groups: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Replicates]:
    """Compute statistics on the data and on resamples of its groups.

    Args:
        statistics: see `Statistics`; called with a row of ones for the data themselves.
        groups: `[N]`, equal for scans that belong together.
        seed: of the draws.
        resamples: how many.

    Returns:
        Each statistic; its resamples are NaN where there is but one group, which has no interval.
    """
    names, members = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    generator = np.random.default_rng(seed)
    chances = np.full(len(names), 1 / len(names))
    on_data = statistics(np.ones((1, len(members))))
    blocks: dict[str, list[NDArray[np.float64]]] = {name: [] for name in on_data}
    size = max(1, _BLOCK // len(members))
    for start in range(0, resamples, size):
        draws = generator.multinomial(len(names), chances, min(size, resamples - start))
        for name, values in statistics(draws[:, members].astype(np.float64)).items():
            blocks[name].append(values)
    # One group, drawn again and again, tells nothing about others.
    known = np.nan if len(names) < 2 else 0.0
    return {
        name: Replicates(float(on_data[name][0]), np.concatenate(blocks[name]) + known)
        for name in on_data
    }


def figure(replicates: Replicates, *, digits: int = 4) -> Figure:
    """Value and percentile interval, rounded; resamples without a value are left out."""
    value, resampled = replicates
    defined = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(defined):
        return Figure(value=None if np.isnan(value) else round(value, digits), low=None, high=None)
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(
        value=round(value, digits), low=round(float(low), digits), high=round(float(high), digits)
    )


def average(parts: Sequence[Replicates]) -> Replicates:
    """Mean of a statistic over independent sets of scans, each counting alike.

    Sets in which the statistic is not defined are left out.
    """
    defined = [part for part in parts if not np.isnan(part.value)]
    if not defined:
        return Replicates(np.nan, np.full(1, np.nan))
    values = np.array([part.value for part in defined])
    return Replicates(float(values.mean()), np.mean([part.resampled for part in defined], axis=0))


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part / whole`, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def figure_text(shown: Figure) -> str:
    """`0.981 (0.973–0.988)`, or a dash where a statistic is not defined (one class only)."""
    if shown["value"] is None:
        return "–"
    if shown["low"] is None:
        return f"{shown['value']:.3f}"
    return f"{shown['value']:.3f} ({shown['low']:.3f}–{shown['high']:.3f})"
