"""Which scans give their class away at a coarse glance, so that they can be drawn less often.

Slices without a tumour come from the ends of a head more often than those with one, and each collection
has its own framing: sixteen by sixteen pixels, in which hardly a tumour can be seen, tell much of the class.
What a network can have so cheaply it learns first. Scans are therefore drawn by the inverse of the
probability that such a coarse model gives their class (inverse propensity weighting, Rosenbaum and Rubin
1983; against shortcuts, "Learning from failure", Nam et al. 2020, arXiv:2007.02561).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from training.network import Grey, Standardise
from training.scans import ScanSet

#: Side of what the coarse model sees, in pixels.
COARSE: Final = 16
#: No scan counts more than this many times as much as one that nobody could tell.
MOST: Final = 4.0
_FOLDS: Final = 5
_BATCH: Final = 256


def coarse_propensity(scans: ScanSet, *, seed: int) -> NDArray[np.float64]:
    """P(tumour) of each scan by a coarse model that saw neither it nor its group.

    Args:
        scans: both classes occur.
        seed: of the division into parts.

    Returns:
        `[N]`, 0..1; one half everywhere if there are too few groups to divide.
    """
    groups = np.unique(scans.groups, return_inverse=True)[1]
    truth = scans.targets > 0.5
    folds = min(_FOLDS, *(len(set(groups[truth == which])) for which in (False, True)))
    guessed = np.full(len(scans), 0.5)
    if folds < 2:
        return guessed
    seen = _coarse_views(scans)
    weights = scans.weights()
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(seen, truth, groups)
    with threadpool_limits(1):
        for learn, judge in parts:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
            model.fit(seen[learn], truth[learn], logisticregression__sample_weight=weights[learn])
            guessed[judge] = model.predict_proba(seen[judge])[:, 1]
    return guessed


def inverse_propensity(scans: ScanSet, *, seed: int) -> NDArray[np.float64]:
    """Factors `[N]` for the chance of each scan to be drawn; their mean in each class of a source is 1."""
    guessed = coarse_propensity(scans, seed=seed)
    own = np.where(scans.targets > 0.5, guessed, 1.0 - guessed)
    factors = np.minimum(0.5 / np.maximum(own, 1e-6), MOST)
    strata = np.array([f"{scan.label}/{scan.source}" for scan in scans.scans])
    for stratum in np.unique(strata):
        factors[strata == stratum] /= factors[strata == stratum].mean()
    return factors


def _coarse_views(scans: ScanSet) -> NDArray[np.float32]:
    """Heads filling the image, at `COARSE` pixels: `[N, COARSE²]`, 0..1."""
    grey, standardise = Grey(), Standardise(side=COARSE)
    views = [np.asarray(standardise(grey(scans.images(part)))) for part in scans.batches(_BATCH)]
    return np.concatenate(views).reshape(len(scans), -1)
