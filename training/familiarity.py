"""Is an image like the scans that were learnt from? A density on what a middle layer of the network sees.

The last layer of a trained network knows only what tells the classes apart: a chest X-ray is much like a
brain to it. A layer half-way still tells how a picture looks. The mean and the standard deviation of each
channel over that layer's map ("appearance", the statistics that style transfer works with) of training
scans are taken for Gaussian, and an image is scored by how far it lies from them.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

#: Share of validation scans, sources weighted alike, that the density may refuse.
REFUSED: Final = 0.015
COMPONENTS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Density:
    """How far an image's appearance lies from that of the training scans.

    Probabilistic PCA (Tipping and Bishop 1999) of standardised features: a Gaussian with `COMPONENTS` free
    directions and equal variance in the others. Its negative log-likelihood, up to a constant, is
    `Σ z² (1/λ - 1/σ²) / 2 + |x|² / (2σ²)` with `x` the standardised features and `z` their projections;
    that sum is scaled so that the median validation scan scores 0 and the threshold is at 1.

    Attributes:
        mean: float `[C]`, μ.
        scale: float `[C]`, standard deviations.
        directions: float `[C, K]`, orthonormal.
        gains: float `[K]`, `1/λ - 1/σ²` (negative).
        precision: `1/σ²`.
        centre: raw score of the median validation scan.
        spread: raw distance from there to the threshold.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    directions: NDArray[np.float64]
    gains: NDArray[np.float64]
    precision: float
    centre: float = 0.0
    spread: float = 1.0

    def score(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Score `[N, C]` features; above 1 is out of distribution."""
        away = (np.asarray(features, float) - self.mean) / self.scale
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
        features: `[N, C]`, of the training split, unaugmented.
        weights: `[N]`, balancing classes and sources; drawn by, since PCA takes no weights.
        validation_features: `[M, C]`.
        validation_weights: `[M]`.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.choice(len(features), size=len(features), p=weights / weights.sum())
    sample = np.asarray(features, float)[drawn]
    mean = sample.mean(axis=0)
    # A channel that never stirs in training would turn rounding errors into distances.
    scale = np.maximum(sample.std(axis=0), 1e-3)
    components = min(COMPONENTS, len(np.unique(drawn)) - 1, sample.shape[1] - 1)
    pca = PCA(components, svd_solver="covariance_eigh").fit((sample - mean) / scale)
    precision = 1.0 / max(float(pca.noise_variance_), 1e-6)
    density = Density(
        mean=mean,
        scale=scale,
        directions=pca.components_.T,
        gains=1.0 / np.maximum(pca.explained_variance_, 1e-6) - precision,
        precision=precision,
    )
    raw = density.score(validation_features)
    centre, threshold = np.quantile(
        raw, [0.5, 1 - REFUSED], weights=validation_weights, method="inverted_cdf"
    )
    return replace(density, centre=float(centre), spread=float(threshold - centre))
