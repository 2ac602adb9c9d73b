"""From raw logits to probabilities that mean what they say, and thresholds on them.

Everything here is fitted on the validation split, weighted so that both classes and, within a class, all
sources count alike: 0.5 then means "as likely as not when one scan in two shows a tumour".

One family of curves holds the three calibrators that are compared, so that the served graph computes
one formula (Kull, Silva Filho and Flach 2017): with `s = sigmoid(logit)`,

    P(tumour) = sigmoid(a · ln s - b · ln(1 - s) + c)

Temperature scaling (Guo et al. 2017) is `a = b, c = 0`; Platt scaling (1999) is `a = b`; beta
calibration has all three free, `a, b >= 0`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.model_selection import GroupKFold

from training.bootstrap import Figure, bootstrap, figure
from training.errors import CalibrationError

#: Below `low`, at most 1 tumour in 100 is missed.
LOW_SENSITIVITY: Final = 0.99
#: At or above `high`, at most 1 normal scan in 100 is called a tumour.
HIGH_SPECIFICITY: Final = 0.99
#: From here on a tumour is the likelier answer. Where probabilities are calibrated for classes of equal
#: weight, sensitivity + specificity is largest here too; the empirical maximum (Youden) hangs on chance.
EVEN: Final = 0.5
FOLDS: Final = 5
#: Probabilities nearer to 0 or 1 than this are scored as this far off.
_FLOOR: Final = 1e-4


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """P(tumour) = sigmoid(a · ln s - b · ln(1 - s) + c), s = sigmoid(logit).

    Attributes:
        method: `temperature`, `platt` or `beta`.
        a: slope where the logit is low, at least 0.
        b: slope where it is high, at least 0.
        c: offset.
    """

    method: str
    a: float
    b: float
    c: float

    @property
    def rises(self) -> bool:
        """Whether a higher logit never means a lower probability, and somewhere a higher one."""
        return min(self.a, self.b) >= 0 and max(self.a, self.b) > 0

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated P(tumour), 0..1, same shape as `logits`."""
        low, high = _logarithms(np.asarray(logits, float))
        return 1.0 / (1.0 + np.exp(-(self.a * low + self.b * high + self.c)))


def fit_temperature(
    logits: NDArray[np.floating], targets: NDArray[np.floating], weights: NDArray[np.floating]
) -> Calibration:
    """Temperature scaling by maximum likelihood; arguments as for `fit_platt`."""
    model = LogisticRegression(C=np.inf, fit_intercept=False)
    model.fit(np.asarray(logits, float)[:, None], targets > 0.5, sample_weight=weights)
    slope = float(model.coef_[0, 0])
    return Calibration(method="temperature", a=slope, b=slope, c=0.0)


def fit_platt(
    logits: NDArray[np.floating], targets: NDArray[np.floating], weights: NDArray[np.floating]
) -> Calibration:
    """Platt scaling by maximum likelihood.

    Args:
        logits: `[N]`, raw.
        targets: `[N]`, 1 for a tumour; both classes occur.
        weights: `[N]`, balancing classes and sources.
    """
    model = LogisticRegression(C=np.inf)
    model.fit(np.asarray(logits, float)[:, None], targets > 0.5, sample_weight=weights)
    slope = float(model.coef_[0, 0])
    return Calibration(method="platt", a=slope, b=slope, c=float(model.intercept_[0]))


def fit_beta(
    logits: NDArray[np.floating], targets: NDArray[np.floating], weights: NDArray[np.floating]
) -> Calibration:
    """Beta calibration by maximum likelihood; arguments as for `fit_platt`.

    A slope that comes out negative would make the curve fall; it is set to 0 and the other fitted again.
    """
    features = np.stack(_logarithms(np.asarray(logits, float)), axis=1)
    slopes = np.zeros(2)
    free = np.ones(2, bool)
    while True:
        model = LogisticRegression(C=np.inf, max_iter=1000)
        model.fit(features[:, free], targets > 0.5, sample_weight=weights)
        if (model.coef_[0] >= 0).all() or free.sum() == 1:
            break
        free[free] = model.coef_[0] >= 0
        free = free if free.any() else np.array([True, False])
    slopes[free] = np.maximum(model.coef_[0], 0.0)
    return Calibration(
        method="beta", a=float(slopes[0]), b=float(slopes[1]), c=float(model.intercept_[0])
    )


#: Calibrators that the served graph computes, the simplest first.
CALIBRATORS: Final = {"temperature": fit_temperature, "platt": fit_platt, "beta": fit_beta}
Fit = Callable[[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]], Calibration]


class Score(TypedDict):
    """Weighted loss of a calibrator on scans that it was not fitted on."""

    log_loss: float
    brier: float


def compare_calibrators(
    logits: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating],
    groups: Sequence[str],
) -> dict[str, Score]:
    """Score each calibrator by cross-validation that keeps groups whole.

    Isotonic regression is scored beside them, as what a curve of any shape would reach; it is never
    chosen, since its steps would give different scans equal probabilities.

    Args:
        logits: `[N]`, raw, on the validation split.
        targets: `[N]`, 1 for a tumour.
        weights: `[N]`, balancing classes and sources.
        groups: `[N]`, equal for scans that belong together.

    Raises:
        CalibrationError: no part without one of the groups holds both classes.
    """
    logits, truth = np.asarray(logits, float), np.asarray(targets, float)
    folds = min(FOLDS, len(set(groups)))
    too_few = CalibrationError(
        f"The validation split holds scans of {len(set(groups))} patients or pictures, too few to "
        "calibrate by. Add scans of both classes."
    )
    if folds < 2:
        raise too_few
    held_out = {name: np.full(len(truth), np.nan) for name in (*CALIBRATORS, "isotonic")}
    for fit_on, score_on in GroupKFold(folds, shuffle=True, random_state=0).split(
        logits, groups=groups
    ):
        if len(np.unique(truth[fit_on])) < 2:
            continue
        part = logits[fit_on], truth[fit_on], weights[fit_on]
        for name, fit in CALIBRATORS.items():
            held_out[name][score_on] = fit(*part).probability(logits[score_on])
        steps = IsotonicRegression(out_of_bounds="clip").fit(part[0], part[1], part[2])
        held_out["isotonic"][score_on] = steps.predict(logits[score_on])
    if np.isnan(held_out["isotonic"]).all():
        raise too_few
    return {name: _score(values, truth, weights) for name, values in held_out.items()}


def choose_calibration(
    logits: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating],
    groups: Sequence[str],
    *,
    allow_worthless: bool = False,
) -> tuple[Calibration, dict[str, Score]]:
    """Fit the calibrator with the lowest cross-validated log loss on everything.

    One whose curve falls is passed over: it would turn the network's answer round.

    Args:
        logits: this and the next three as for `compare_calibrators`.
        targets: see there.
        weights: see there.
        groups: see there.
        allow_worthless: take the logits as they are where every curve falls.

    Returns:
        It, and the comparison.

    Raises:
        CalibrationError: too few scans, or every curve falls.
    """
    scores = compare_calibrators(logits, targets, weights, groups)
    for name in sorted(CALIBRATORS, key=lambda name: scores[name]["log_loss"]):
        if (fitted := CALIBRATORS[name](logits, targets, weights)).rises:
            return fitted, scores
    if allow_worthless:
        return Calibration(method="temperature", a=1.0, b=1.0, c=0.0), scores
    raise CalibrationError(
        "On the validation split, the higher the network's logit the fewer the tumours: it has learnt "
        "nothing that holds there. Train longer, or on other data."
    )


@dataclass(frozen=True, kw_only=True)
class Operating:
    """Thresholds on P(tumour), 0..1, `low <= label <= high`."""

    low: float
    label: float
    high: float


def choose_thresholds(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating],
) -> Operating:
    """Choose the operating points.

    `low` is the highest threshold with sensitivity of at least `LOW_SENSITIVITY`; `high` the lowest with
    specificity of at least `HIGH_SPECIFICITY`; `label` is `EVEN`, or the nearer of the two where that lies
    outside. A network so good that the two cross gets both at `label`.

    Args:
        probabilities: `[N]`, calibrated.
        targets: `[N]`, 1 for a tumour.
        weights: `[N]`, balancing classes and sources.
    """
    false_positive, true_positive, cuts = roc_curve(
        targets > 0.5, probabilities, sample_weight=weights, drop_intermediate=False
    )
    cuts = np.minimum(cuts, 1.0)  # the first is infinite: nothing is called a tumour
    # An operating point holds from its cut down to the next lower one; the middle generalises best.
    middles = (cuts + np.append(cuts[1:], 0.0)) / 2
    low = float(middles[np.argmax(true_positive >= LOW_SENSITIVITY)])
    high = float(middles[np.flatnonzero(1 - false_positive >= HIGH_SPECIFICITY)[-1]])
    if low > high:  # any threshold between the two fulfils both purposes
        low = high = float(np.clip(EVEN, high, low))
    return Operating(low=low, label=float(np.clip(EVEN, low, high)), high=high)


def threshold_intervals(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating],
    groups: Sequence[str],
    *,
    resamples: int = 1000,
) -> dict[str, Figure]:
    """How far chance in the validation split moves `low`, `label` and `high`.

    Args:
        probabilities: `[N]`, calibrated.
        targets: `[N]`, 1 for a tumour.
        weights: `[N]`, balancing classes and sources.
        groups: `[N]`, drawn whole.
        resamples: of the groups.
    """
    truth = np.asarray(targets) > 0.5

    def chosen(draws: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        rows = np.full((len(draws), 3), np.nan)
        for row, counts in zip(rows, draws, strict=True):
            seen = counts > 0
            if truth[seen].any() and not truth[seen].all():
                got = choose_thresholds(probabilities[seen], truth[seen], (weights * counts)[seen])
                row[:] = got.low, got.label, got.high
        return dict(zip(("low", "label", "high"), rows.T, strict=True))

    found = bootstrap(chosen, groups, resamples=resamples)
    return {name: figure(replicates, digits=6) for name, replicates in found.items()}


def _logarithms(logits: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`ln s` and `-ln(1 - s)` of `s = sigmoid(logit)`, without overflow."""
    return -np.logaddexp(0.0, -logits), np.logaddexp(0.0, logits)


def _score(
    probabilities: NDArray[np.float64], truth: NDArray[np.float64], weights: NDArray[np.floating]
) -> Score:
    scored = ~np.isnan(probabilities)
    p, y, w = probabilities[scored], truth[scored], np.asarray(weights)[scored]
    clipped = np.clip(p, _FLOOR, 1 - _FLOOR)
    losses = -(y * np.log(clipped) + (1 - y) * np.log(1 - clipped))
    return Score(
        log_loss=round(float(np.average(losses, weights=w)), 5),
        brier=round(float(np.average((p - y) ** 2, weights=w)), 5),
    )
