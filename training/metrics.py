"""Figures of a classifier with 95 % intervals, bootstrapped by group."""

from collections.abc import Callable, Iterator
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95
#: Keys of the figures in a `Report`.
METRICS: Final = ("auc", "accuracy", "sensitivity", "specificity")


class Figure(TypedDict):
    """One metric: its value on the data and its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Report(TypedDict):
    """What `evaluate` writes for one set of scans; `n` counts scans, `groups` independent ones."""

    n: int
    groups: int
    tumor: int
    no_tumor: int
    auc: Figure
    accuracy: Figure
    sensitivity: Figure
    specificity: Figure


def report(
    targets: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    groups: list[str],
    *,
    called: NDArray[np.bool_],
    seed: int = 0,
) -> Report:
    """Measure probabilities against the truth.

    Whole groups (patients, duplicates) are drawn with replacement, since the scans of a group are not
    independent (cluster bootstrap, percentile interval; Davison and Hinkley 1997, section 3.8).

    Args:
        targets: `[N]`, 1 for a tumour, 0 for none.
        probabilities: `[N]`, P(tumour), 0..1.
        groups: `[N]`, equal for scans that belong together.
        called: `[N]`, whether the model's label is "tumor".
        seed: of the bootstrap.
    """
    truth = np.asarray(targets) > 0.5
    metrics: dict[str, Callable[[NDArray[np.float64]], float | None]] = {
        "auc": lambda w: _auc(truth, probabilities, w),
        "accuracy": lambda w: _share(called == truth, w),
        "sensitivity": lambda w: _share(called, w * truth),
        "specificity": lambda w: _share(~called, w * ~truth),
    }
    resamples = list(_resampled_weights(groups, seed))
    figures: dict[str, Figure] = {}
    for name, metric in metrics.items():
        values = [value for w in resamples if (value := metric(w)) is not None]
        low, high = (
            np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            if values
            else (None, None)
        )
        figures[name] = Figure(
            value=_rounded(metric(np.ones(len(truth)))), low=_rounded(low), high=_rounded(high)
        )
    return Report(
        n=len(truth),
        groups=len(set(groups)),
        tumor=int(truth.sum()),
        no_tumor=int((~truth).sum()),
        **figures,  # type: ignore[typeddict-item]
    )


def figure_text(figure: Figure) -> str:
    """`0.981 (0.973–0.988)`, or a dash where a metric is not defined (one class only)."""
    if figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"


def _resampled_weights(groups: list[str], seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each scan occurs in each bootstrap resample of the groups."""
    names, members = np.unique(groups, return_inverse=True)
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = generator.integers(0, len(names), len(names))
        yield np.bincount(drawn, minlength=len(names))[members].astype(np.float64)


def _auc(
    truth: NDArray[np.bool_], probabilities: NDArray[np.floating], weights: NDArray[np.float64]
) -> float | None:
    drawn = weights > 0
    if truth[drawn].all() or not truth[drawn].any():
        return None
    return float(roc_auc_score(truth[drawn], probabilities[drawn], sample_weight=weights[drawn]))


def _share(hits: NDArray[np.bool_], weights: NDArray[np.float64]) -> float | None:
    total = weights.sum()
    return float((hits * weights).sum() / total) if total else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
