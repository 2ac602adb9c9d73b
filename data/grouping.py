"""Sets of scans that must stay together, grown by what is certain first and by likeness then."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from data.manifest import Scan

#: The manifest that names a patient, and the name.
Patient = tuple[str, str]


class Groups:
    """Disjoint sets of scans that grow together."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, scan: int) -> int:
        """The scan that stands for the group of this one."""
        while self._parent[scan] != scan:
            self._parent[scan] = scan = self._parent[self._parent[scan]]
        return scan

    def join(self, one: int, other: int) -> bool:
        """Make one group of two; false if they were one already. The first scan stands for it."""
        one, other = sorted((self.find(one), self.find(other)))
        self._parent[other] = one
        return one != other

    def join_equal(self, keys: Iterable[Hashable | None]) -> None:
        """Join scans whose keys, one for each scan in order, are equal; None joins nothing."""
        first: dict[Hashable, int] = {}
        for scan, key in enumerate(keys):
            if key is not None:
                self.join(first.setdefault(key, scan), scan)

    def labels(self) -> list[int]:
        """For each scan in order the scan that stands for its group."""
        return [self.find(scan) for scan in range(len(self._parent))]


def together(scans: Sequence[Scan]) -> list[int]:
    """What must not be parted: scans linked by groups and patients, over any number of steps.

    Returns:
        For each scan in order the scan that stands for all that are linked with it.
    """
    linked = Groups(len(scans))
    linked.join_equal(scan.group for scan in scans)
    linked.join_equal(scan.person for scan in scans)
    return linked.labels()


def join_near_duplicates(
    groups: Groups,
    pairs: NDArray[np.int64],
    patients: Sequence[Patient | None],
) -> tuple[int, int]:
    """Join near-duplicates, the most alike first, but never two patients known to be different.

    Two names in one catalogue are two people, however alike their brains; names in different
    catalogues may be the same person.

    Args:
        groups: joined so far by what is certain; grows.
        pairs: int `[M, 2]`, the most alike first.
        patients: catalogue and name for each scan, or None where unknown.

    Returns:
        How many joins united two groups, and how many pairs were left apart as different patients.
    """
    known: dict[int, dict[str, set[str]]] = {}
    for scan, patient in enumerate(patients):
        if patient is not None:
            catalogue, name = patient
            known.setdefault(groups.find(scan), {}).setdefault(catalogue, set()).add(name)
    merged = refused = 0
    for one, other in pairs.tolist():
        one, other = groups.find(one), groups.find(other)
        if one == other:
            continue
        mine, theirs = known.get(one, {}), known.get(other, {})
        if any(mine[name].isdisjoint(theirs[name]) for name in mine.keys() & theirs.keys()):
            refused += 1
            continue
        groups.join(one, other)
        merged += 1
        united = {
            name: mine.get(name, set()) | theirs.get(name, set())
            for name in mine.keys() | theirs.keys()
        }
        known[groups.find(one)] = united
    return merged, refused
