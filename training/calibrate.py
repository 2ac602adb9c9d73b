"""From raw logits to numbers that mean what they say; everything fitted on the validation split.

- Platt scaling turns a logit into P(tumour) (Platt 1999: two numbers, so that 1,000 scans suffice).
- Three thresholds on that probability, each for a stated purpose.
- A density of the pooled features tells scans unlike those the network has learned from.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve

#: Below `low`, at most 1 tumour in 100 is missed.
LOW_SENSITIVITY: Final = 0.99
#: At or above `high`, at most 1 normal scan in 100 is called a tumour.
HIGH_SPECIFICITY: Final = 0.99
#: Share of validation scans, sources weighted alike, that the density may refuse.
REFUSED: Final = 0.02
COMPONENTS: Final = 64


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


@dataclass(frozen=True, kw_only=True)
class Density:
    """How far a scan's features lie from those of the training set.

    Probabilistic PCA (Tipping and Bishop 1999): a Gaussian with `COMPONENTS` free directions and equal
    variance in the others. Its negative log-likelihood, up to a constant, is
    `Σ z² (1/λ - 1/σ²) / 2 + |x - μ|² / (2σ²)` with `z` the projections; that sum is scaled so that the
    median validation scan scores 0 and the threshold is at 1.

    Attributes:
        mean: float `[C]`, μ.
        directions: float `[C, K]`, orthonormal.
        gains: float `[K]`, `1/λ - 1/σ²` (negative).
        precision: `1/σ²`.
        centre: raw score of the median validation scan.
        spread: raw distance from there to the threshold.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    gains: NDArray[np.float64]
    precision: float
    centre: float = 0.0
    spread: float = 1.0

    def score(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Score `[N, C]` features; above 1 is out of distribution."""
        away = np.asarray(features, float) - self.mean
        along = away @ self.directions
        raw = (along**2 @ self.gains + (away**2).sum(axis=1) * self.precision) / 2
        return (raw - self.centre) / self.spread


def fit_density(
    features: NDArray[np.floating],
    weights: NDArray[np.floating],
    validation_features: NDArray[np.floating],
    validation_weights: NDArray[np.floating],
    *,
    seed: int,
) -> Density:
    """Fit the density on training features and its scale on validation features.

    Args:
        features: `[N, C]` pooled features of the training split, unaugmented.
        weights: `[N]`, balancing classes and sources; drawn by, since PCA takes no weights.
        validation_features: `[M, C]`.
        validation_weights: `[M]`.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.choice(len(features), size=len(features), p=weights / weights.sum())
    components = min(COMPONENTS, len(np.unique(drawn)) - 1)
    pca = PCA(components, svd_solver="covariance_eigh").fit(np.asarray(features, float)[drawn])
    precision = 1.0 / float(pca.noise_variance_)
    density = Density(
        mean=pca.mean_,
        directions=pca.components_.T,
        gains=1.0 / pca.explained_variance_ - precision,
        precision=precision,
    )
    raw = density.score(validation_features)
    centre, threshold = np.quantile(
        raw, [0.5, 1 - REFUSED], weights=validation_weights, method="inverted_cdf"
    )
    return Density(
        mean=density.mean,
        directions=density.directions,
        gains=density.gains,
        precision=precision,
        centre=float(centre),
        spread=float(threshold - centre),
    )
