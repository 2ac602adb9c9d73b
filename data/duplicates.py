"""All pairs of scans that show one picture, by the exhaustive search and by registration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data.grouping import Groups, Patient, join_near_duplicates
from data.patterns import near_duplicates, patterns
from data.progress import Progress, silent
from data.proposals import hashes, propose, thumbnail
from data.registration import confirm


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """What of a scan is compared with others.

    Attributes:
        patterns: float32 `[2, 32, 32]`, see `data.patterns`.
        thumbnail: uint8 `[112, 112]`, see `data.proposals`; so are the hashes.
        hashes: uint8 `[A + 8, 18]`.
    """

    patterns: NDArray[np.float32]
    thumbnail: NDArray[np.uint8]
    hashes: NDArray[np.uint8]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Self:
        """From uint8 `[H, W, 3]`, RGB."""
        small = thumbnail(pixels)
        return cls(patterns=patterns(pixels), thumbnail=small, hashes=hashes(small))


@dataclass(frozen=True, kw_only=True)
class LookAlikes:
    """Pairs of scans that show one picture, the most alike first.

    Attributes:
        pairs: int64 `[M, 2]`.
        correlations: float32 `[M]`.
        registered: bool `[M]`, whether it took registration to see it.
    """

    pairs: NDArray[np.int64]
    correlations: NDArray[np.float32]
    registered: NDArray[np.bool_]

    def among(self, kept: Sequence[int]) -> Self:
        """The pairs of scans that are kept, numbered as in `kept`, which ascends."""
        kept_scans = np.array(kept, np.int64)
        inside = np.isin(self.pairs, kept_scans).all(axis=1)
        return type(self)(
            pairs=np.searchsorted(kept_scans, self.pairs[inside]),
            correlations=self.correlations[inside],
            registered=self.registered[inside],
        )


def look_alikes(
    appearances: Sequence[Appearance],
    together: Sequence[int],
    patients: Sequence[Patient | None],
    progress: Progress = silent,
) -> LookAlikes:
    """Find the pairs of scans that show one picture.

    Every pair is correlated; registration is tried only where it can still decide something: on scans
    that are not kept together yet, and not of two patients known to differ.

    Args:
        appearances: of each scan.
        together: `[N]`, scans with equal numbers are kept together for other reasons.
        patients: catalogue and name for each scan, or None where unknown.
        progress: shows how far the search is.
    """
    exhaustive, correlations = near_duplicates(
        np.stack([one.patterns for one in appearances]),
        progress=lambda blocks: progress(blocks, "Comparing"),
    )
    units = Groups(len(appearances))
    units.join_equal(together)
    units.join_equal(patients)
    join_near_duplicates(units, exhaustive, patients)
    proposals = list(
        propose(
            np.stack([one.hashes for one in appearances]),
            units.labels(),
            [patient[0] if patient else "" for patient in patients],
            {(one, other) for one, other in exhaustive.tolist()},
            progress=lambda scans: progress(scans, "Looking for crops and turns"),
        )
    )
    confirmed, registered_correlations = confirm(
        proposals,
        [one.thumbnail for one in appearances],
        progress=lambda values: progress(values, "Registering", len(proposals)),
    )
    every = np.concatenate([exhaustive, confirmed])
    alike = np.concatenate([correlations, registered_correlations])
    order = np.argsort(-alike, kind="stable")
    registered = np.arange(len(every)) >= len(exhaustive)
    return LookAlikes(pairs=every[order], correlations=alike[order], registered=registered[order])
