"""From raw logits to numbers that mean what they say; everything fitted on the validation split.

- Platt scaling turns a logit into P(tumour) (Platt 1999: two numbers, so that 1,000 scans suffice).
- Three thresholds on that probability, each for a stated purpose.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve

#: Below `low`, at most 1 tumour in 100 is missed.
LOW_SENSITIVITY: Final = 0.99
#: At or above `high`, at most 1 normal scan in 100 is called a tumour.
HIGH_SPECIFICITY: Final = 0.99


@dataclass(frozen=True, kw_only=True)
class Platt:
    """P(tumour) = sigmoid(slope · logit + intercept)."""

    slope: float
    intercept: float

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated P(tumour), 0..1, same shape as `logits`."""
        return 1.0 / (1.0 + np.exp(-(self.slope * np.asarray(logits, float) + self.intercept)))


def fit_platt(
    logits: NDArray[np.floating], targets: NDArray[np.floating], weights: NDArray[np.floating]
) -> Platt:
    """Fit Platt scaling by maximum likelihood.

    Args:
        logits: `[N]`, raw.
        targets: `[N]`, 1 for a tumour.
        weights: `[N]`; with both classes of equal weight, 0.5 means "as likely as not when one scan in
            two shows a tumour".
    """
    model = LogisticRegression(C=np.inf)
    model.fit(np.asarray(logits, float)[:, None], targets > 0.5, sample_weight=weights)
    return Platt(slope=float(model.coef_[0, 0]), intercept=float(model.intercept_[0]))


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
    specificity of at least `HIGH_SPECIFICITY`; `label` maximises sensitivity + specificity (Youden 1950)
    between them. A network so good that the two cross gets both at `label`.

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
    youden = float(middles[np.argmax(true_positive - false_positive)])
    if low > high:
        low = high = youden
    return Operating(low=low, label=float(np.clip(youden, low, high)), high=high)
