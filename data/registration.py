"""Whether two scans show one picture: lay one on the other as well as an affine map can, and correlate.

The map is found by maximising the enhanced correlation coefficient (Evangelidis and Psarakis,
"Parametric image alignment using enhanced correlation coefficient maximization", 2008; OpenCV's
`findTransformECC`). Different heads do not come to lie on each other, whatever the map.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data.patterns import flips_and_rotations
from data.proposals import ALTERATIONS, picture

#: Side in pixels at which scans are laid on each other.
_SIDE: Final = 64
#: Chosen by eye on the web and figshare sources (2,600 scans): of the proposals that plain correlation
#: had missed and whose patients are not known to differ, all 33 from 0.83 up show one picture; none lies
#: between 0.80 and 0.83, and at 0.80 the first clear mistakes come.
THRESHOLD: Final = 0.83
#: Share of the picture that must be covered for its correlation to mean anything.
_LEAST_OVERLAP: Final = 0.5
_STEPS: Final = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-4)
_BLUR: Final = 5

Proposal = tuple[int, int, int, int]


def confirm(
    proposals: Sequence[Proposal],
    thumbnails: Sequence[NDArray[np.uint8]],
    progress: Callable[[Iterable[float]], Iterable[float]] = iter,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Keep the proposals in which one scan, laid on the other, correlates by `THRESHOLD` or more.

    Args:
        proposals: from `data.proposals.propose`.
        thumbnails: of each scan uint8 `[112, 112]` from `data.proposals.thumbnail`.
        progress: wraps the correlations as they come, one for each proposal.

    Returns:
        int64 `[M, 2]`, the pairs with the smaller index first, and float32 `[M]`, their correlations;
        the most alike first, each pair once.
    """

    def correlate(proposal: Proposal) -> float:
        altered, alteration, other, symmetry = proposal
        return registered_correlation(
            picture(thumbnails[altered], ALTERATIONS[alteration], _SIDE),
            _view(picture(thumbnails[other], ALTERATIONS[0], _SIDE), symmetry),
        )

    best: dict[tuple[int, int], float] = {}
    with ThreadPoolExecutor() as pool:
        correlations = progress(pool.map(correlate, proposals))
        for (one, _, other, _), correlation in zip(proposals, correlations, strict=True):
            pair = min(one, other), max(one, other)
            if correlation >= max(THRESHOLD, best.get(pair, 0.0)):
                best[pair] = correlation
    ranked = sorted(best, key=lambda pair: (-best[pair], pair))
    pairs = np.array(ranked, np.int64).reshape(-1, 2)
    return pairs, np.array([best[pair] for pair in ranked], np.float32)


def registered_correlation(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> float:
    """Correlation of two pictures once the second is laid on the first.

    Args:
        fixed: float32 `[S, S]`, from `data.proposals.picture`.
        moving: float32 `[S, S]`, likewise, within a few per cent and degrees of the first if they
            show the same.

    Returns:
        -1..1 over what both cover; 0 if no map is found or they hardly overlap.
    """
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, found = cv2.findTransformECC(
            fixed,
            moving,
            start,
            cv2.MOTION_AFFINE,
            _STEPS,
            None,
            _BLUR,  # type: ignore[call-overload]
        )
    except cv2.error:  # the iteration diverged
        return 0.0
    size = fixed.shape[1], fixed.shape[0]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(moving, found, size, flags=how)
    covered = cv2.warpAffine(np.ones_like(moving), found, size, flags=how) > 0.99
    if covered.mean() < _LEAST_OVERLAP:
        return 0.0
    ours, theirs = fixed[covered], laid[covered]
    if not (ours.std() and theirs.std()):
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def _view(content: NDArray[np.float32], symmetry: int) -> NDArray[np.float32]:
    """One of the eight flips and quarter turns, as `flips_and_rotations` counts them."""
    return list(flips_and_rotations(content[None]))[symmetry][0]
