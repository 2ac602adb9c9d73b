"""Figures of a classifier, each with its 95 % interval bootstrapped by group.

Discrimination: AUC, PR-AUC (average precision) and sensitivity at 90 % specificity. Decisions at the
model's own threshold: accuracy, sensitivity, specificity, and PPV and NPV at stated prevalences, since
those of a collection, in which every second scan shows a tumour, hold nowhere else. Probabilities: Brier
score and ECE.
"""

from collections.abc import Sequence
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import (
    Figure,
    Replicates,
    Statistics,
    average,
    bootstrap,
    figure,
    ratio,
)

#: Shares of tumours among those scanned, for PPV and NPV: screening, headache clinic, neurosurgery.
PREVALENCES: Final = (0.01, 0.1, 0.5)
#: Bins of equal mass (as many scans in each) for ECE and the reliability diagram.
CALIBRATION_BINS: Final = 10
#: The specificity at which `sensitivity_at_90_specificity` is read off the ROC curve.
STATED_SPECIFICITY: Final = 0.9
#: Keys of the figures in a `Report`.
METRICS: Final = (
    "auc",
    "pr_auc",
    "accuracy",
    "sensitivity",
    "specificity",
    "sensitivity_at_90_specificity",
    "brier",
    "ece",
)


class _Figures(TypedDict):
    """The figures of a set of scans; `ppv` and `npv` by prevalence, as "0.01"."""

    auc: Figure
    pr_auc: Figure
    accuracy: Figure
    sensitivity: Figure
    specificity: Figure
    sensitivity_at_90_specificity: Figure
    brier: Figure
    ece: Figure
    ppv: dict[str, Figure]
    npv: dict[str, Figure]


class Report(_Figures):
    """What `evaluate` writes for one set of scans; `n` counts scans, `groups` independent ones."""

    n: int
    groups: int
    tumor: int
    no_tumor: int


class MacroAverage(_Figures):
    """Means over sources that count alike; a source without a figure (one class) is left out of it."""

    sources: int


def report(
    targets: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    groups: Sequence[str],
    *,
    called: NDArray[np.bool_],
    seed: int = 0,
) -> Report:
    """Measure probabilities against the truth.

    Args:
        targets: `[N]`, 1 for a tumour, 0 for none; N > 0.
        probabilities: `[N]`, P(tumour), 0..1.
        groups: `[N]`, equal for scans that belong together.
        called: `[N]`, whether the model's label is "tumor".
        seed: of the bootstrap.
    """
    truth = np.asarray(targets) > 0.5
    statistics = _statistics(truth, np.asarray(probabilities, float), np.asarray(called))
    return _report(truth, groups, bootstrap(statistics, groups, seed=seed))


def report_by_source(
    targets: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    groups: Sequence[str],
    sources: Sequence[str],
    *,
    called: NDArray[np.bool_],
    seed: int = 0,
) -> tuple[dict[str, Report], MacroAverage]:
    """A report for each source, and the mean over sources.

    Args:
        targets: `[N]`, 1 for a tumour, 0 for none; N > 0.
        probabilities: `[N]`, P(tumour), 0..1.
        groups: `[N]`, equal for scans that belong together.
        sources: `[N]`, where each scan comes from.
        called: `[N]`, whether the model's label is "tumor".
        seed: of the bootstrap.
    """
    of_scan = np.asarray(sources, dtype=str)
    truth = np.asarray(targets) > 0.5
    reports: dict[str, Report] = {}
    parts: list[dict[str, Replicates]] = []
    for number, source in enumerate(np.unique(of_scan)):
        where = np.flatnonzero(of_scan == source)
        statistics = _statistics(
            truth[where], np.asarray(probabilities, float)[where], called[where]
        )
        members = np.asarray(groups, dtype=str)[where].tolist()
        # Another seed for each, so that the draws of two sources are independent.
        parts.append(bootstrap(statistics, members, seed=seed + number))
        reports[str(source)] = _report(truth[where], members, parts[-1])
    means = {name: average([part[name] for part in parts]) for name in parts[0]}
    return reports, MacroAverage(sources=len(parts), **_figures(means))


def calibration_bins(probabilities: NDArray[np.floating]) -> NDArray[np.int_]:
    """The bin of each probability: `[N]`, 0 to `CALIBRATION_BINS` - 1, equally many in each.

    Equal probabilities share a bin, so that the order of the scans does not matter.
    """
    ranks = np.searchsorted(np.sort(probabilities), probabilities, side="left")
    return (ranks * CALIBRATION_BINS) // max(1, len(probabilities))


def _statistics(
    truth: NDArray[np.bool_], probabilities: NDArray[np.float64], called: NDArray[np.bool_]
) -> Statistics:
    """Everything a report holds, as a function of weights `[R, N]`."""
    order = np.argsort(-probabilities, kind="stable")
    # Where a run of equal probabilities ends: only there is a threshold possible.
    ends = np.flatnonzero(np.append(np.diff(probabilities[order]) != 0, True))
    bins = np.eye(CALIBRATION_BINS)[calibration_bins(probabilities)]
    squared_error = (probabilities - truth) ** 2

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        total = weights.sum(axis=1)
        sensitivity = ratio(weights @ (truth & called), weights @ truth)
        specificity = ratio(weights @ (~truth & ~called), weights @ ~truth)
        gaps = np.abs((weights * (probabilities - truth)) @ bins).sum(axis=1)
        found = {
            **_curves(weights[:, order], truth[order], ends),
            "accuracy": ratio(weights @ (called == truth), total),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "brier": ratio(weights @ squared_error, total),
            "ece": ratio(gaps, total),
        }
        for prevalence in PREVALENCES:
            hits, misses = prevalence * sensitivity, prevalence * (1 - sensitivity)
            passed, alarms = (1 - prevalence) * specificity, (1 - prevalence) * (1 - specificity)
            found[f"ppv {prevalence}"] = ratio(hits, hits + alarms)
            found[f"npv {prevalence}"] = ratio(passed, passed + misses)
        return found

    return statistics


def _curves(
    weights: NDArray[np.float64], truth: NDArray[np.bool_], ends: NDArray[np.int_]
) -> dict[str, NDArray[np.float64]]:
    """Areas under and a point of the ROC and precision-recall curves.

    Args:
        weights: `[R, N]`, scans in order of falling probability.
        truth: `[N]`, in that order.
        ends: indices at which a run of equal probabilities ends.
    """
    true = np.cumsum(weights * truth, axis=1)[:, ends]
    false = np.cumsum(weights * ~truth, axis=1)[:, ends]
    tumours, normals = true[:, -1], false[:, -1]
    both = (tumours > 0) & (normals > 0)
    undefined = np.where(both, 0.0, np.nan)
    true_steps, false_steps = np.diff(true, prepend=0.0), np.diff(false, prepend=0.0)
    pairs = (false_steps * (true - true_steps / 2)).sum(axis=1)
    precision = ratio(true, true + false)
    precise = np.where(true_steps > 0, true_steps * np.nan_to_num(precision), 0.0).sum(axis=1)
    allowed = false <= (1 - STATED_SPECIFICITY) * normals[:, None] + 1e-9
    reached = np.where(allowed, true, 0.0).max(axis=1)
    return {
        "auc": ratio(pairs, tumours * normals) + undefined,
        "pr_auc": ratio(precise, tumours) + undefined,
        "sensitivity_at_90_specificity": ratio(reached, tumours) + undefined,
    }


def _report(
    truth: NDArray[np.bool_], groups: Sequence[str], measured: dict[str, Replicates]
) -> Report:
    return Report(
        n=len(truth),
        groups=len(set(groups)),
        tumor=int(truth.sum()),
        no_tumor=int((~truth).sum()),
        **_figures(measured),
    )


def _figures(measured: dict[str, Replicates]) -> _Figures:
    figures = {name: figure(measured[name]) for name in METRICS}
    by_prevalence = {
        name: {str(p): figure(measured[f"{name} {p}"]) for p in PREVALENCES}
        for name in ("ppv", "npv")
    }
    return _Figures(**figures, **by_prevalence)  # type: ignore[typeddict-item]
