"""Deal groups of scans to training, validation and test, so that nothing is in two of them."""

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np

from data.manifest import Split

SHARES: Final = {Split.TRAIN: 0.70, Split.VAL: 0.15, Split.TEST: 0.15}
#: Where parts of one group were proposed for different splits, the later of these gets it all:
#: moving a scan out of training never leaks, moving one into it does.
_HELD_OUT: Final = (Split.TRAIN, Split.VAL, Split.TEST)


def deal(
    units: Sequence[int],
    strata: Sequence[Hashable],
    proposals: Sequence[Split | None],
    *,
    seed: int,
) -> list[Split]:
    """Give every scan a split, whole units at a time, each stratum near 70/15/15.

    Units with a proposal keep it. The others are dealt from the largest to the smallest, ties
    shuffled, each to the split that lacks most of the unit's strata: greedy stratification as in
    Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data" (2011), with units
    in place of single examples.

    Args:
        units: `[N]`, equal numbers stay together.
        strata: `[N]`, what should be spread evenly, here class and source.
        proposals: `[N]`, a split that has been chosen already, or None.
        seed: of the shuffle.

    Returns:
        `[N]` splits.
    """
    members: dict[int, list[int]] = {}
    for scan, unit in enumerate(units):
        members.setdefault(unit, []).append(scan)
    kinds = {kind: i for i, kind in enumerate(dict.fromkeys(strata))}
    counts = {unit: np.zeros(len(kinds)) for unit in members}
    for unit, stratum in zip(units, strata, strict=True):
        counts[unit][kinds[stratum]] += 1
    total = sum(counts.values(), np.zeros(len(kinds)))
    lacking = {split: share * total for split, share in SHARES.items()}

    chosen: dict[int, Split] = {}
    for unit, scans in members.items():
        asked = [split for scan in scans if (split := proposals[scan]) is not None]
        if asked:
            chosen[unit] = max(asked, key=_HELD_OUT.index)
            lacking[chosen[unit]] -= counts[unit]

    free = [unit for unit in members if unit not in chosen]
    np.random.default_rng(seed).shuffle(free)
    for unit in sorted(free, key=lambda unit: -len(members[unit])):
        # Ties within the unit's strata go where scans of any kind lack most.
        want = {
            split: (round(float(counts[unit] @ (lack / total)), 9), float(lack.sum()))
            for split, lack in lacking.items()
        }
        chosen[unit] = max(_HELD_OUT, key=want.__getitem__)
        lacking[chosen[unit]] -= counts[unit]
    return [chosen[unit] for unit in units]
