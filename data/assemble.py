"""Decide on every decoded file: reject, duplicate, or a scan with a group, a split and a name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from data.contradictions import CODE_CONTRADICTORY, contradicts_manifest, under_both_labels
from data.duplicates import Appearance, LookAlikes, look_alikes
from data.grouping import Groups, Patient, join_near_duplicates
from data.labels import FOLDER_OF_LABEL
from data.manifest import DatasetError, Scan, Split
from data.progress import Progress, silent
from data.sources import Found
from data.split import deal


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file and what reading and decoding it gave.

    Attributes:
        found: the file and its descriptions.
        sha256: of the file.
        pixels_sha256: of the prepared pixels; empty if there are none.
        appearance: what is compared with other scans, or None if there are no pixels.
        quality: codes of what is doubtful about the image, separated by `;`, or empty.
        size: width and height of the upright original, in pixels.
        code: why it is no usable scan, or empty.
        message: the same for people.
    """

    found: Found
    sha256: str
    pixels_sha256: str = ""
    appearance: Appearance | None = None
    quality: str = ""
    size: tuple[int, int] = (0, 0)
    code: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Link:
    """Two scans of the dataset that show one picture, though their sources do not keep them together.

    Attributes:
        path: of the first, as in the manifest.
        other: of the second.
        correlation: of both, at the best flip, turn and polarity, or after registration.
        registered: whether it took registration to see it.
        joined: false if their groups stay apart since their patients are known to differ.
    """

    path: str
    other: str
    correlation: float
    registered: bool
    joined: bool


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """What became of the candidates.

    Attributes:
        scans: the dataset, by path.
        indices: for each scan, in order, its candidate.
        links: pairs of scans that show one picture though no source says so.
        rejects: candidates that are no usable scans, with code and message.
        counts: how many were found, kept, joined.
    """

    scans: list[Scan]
    indices: list[int]
    links: list[Link]
    rejects: list[Candidate]
    counts: dict[str, int]


def assemble(
    candidates: Sequence[Candidate],
    *,
    hold_out: Iterable[str] = (),
    keep_splits: bool = True,
    seed: int,
    progress: Progress = silent,
) -> Assembly:
    """Decide on every candidate.

    Groups join what has equal bytes or pixels, what the sources state to belong together (their
    group, or their patient where they give none) and near-duplicates. Whole groups and whole
    patients go to one split. Of identical scans one copy stays.

    Args:
        candidates: in the order in which copies are preferred.
        hold_out: names of sources or SOURCE folders that go to the test split.
        keep_splits: honour the splits that manifests propose.
        seed: of the deal.
        progress: shows how far the search for near-duplicates is.

    Raises:
        DatasetError: nothing usable is left.
    """
    checked = [_check_manifest(one) for one in candidates]
    valid = [i for i, one in enumerate(checked) if not one.code]
    if not valid:
        raise DatasetError("None of the files is a usable scan; nothing was written.")
    usable = [checked[i] for i in valid]
    _, groups = _stated_groups(usable)
    patients = [_patient(one.found) for one in usable]
    looks = [one.appearance for one in usable if one.appearance is not None]
    alike = look_alikes(looks, groups.labels(), patients, progress)

    pixels = [one.pixels_sha256 for one in usable]
    contradicted = under_both_labels([one.found for one in usable], pixels, alike, patients)
    for k, message in contradicted.items():
        checked[valid[k]] = replace(usable[k], code=CODE_CONTRADICTORY, message=message)
    kept = [k for k in range(len(usable)) if k not in contradicted]
    if not kept:
        raise DatasetError("Every picture is in `yes` and in `no`; nothing was written.")
    alike = alike.among(kept)
    valid, usable = [valid[k] for k in kept], [usable[k] for k in kept]

    found = [one.found for one in usable]
    patients = [patients[k] for k in kept]
    copies, groups = _stated_groups(usable)
    stated = groups.labels()
    joined, refused = join_near_duplicates(groups, alike.pairs, patients)
    units = Groups(len(usable))
    units.join_equal(groups.labels())
    units.join_equal(patients)

    held_out = set(hold_out)
    splits = deal(
        units.labels(),
        strata=[(one.label, one.source) for one in found],
        proposals=[
            Split.TEST
            if held_out & {one.source, one.root}
            else (one.split if keep_splits else None)
            for one in found
        ],
        seed=seed,
    )
    names = _group_names(found, groups.labels())
    taken: set[str] = set()
    scans = {
        k: _scan(usable[k], splits[k], names[k], taken)
        for k in _one_copy_each(copies, [_said(one) for one in found])
    }
    paths = [scans[k].path if k in scans else "" for k in range(len(usable))]
    order = sorted(scans, key=paths.__getitem__)
    return Assembly(
        scans=[scans[k] for k in order],
        indices=[valid[k] for k in order],
        links=_links(alike, stated, groups.labels(), paths),
        rejects=[one for one in checked if one.code],
        counts={
            "found": len(candidates),
            "prepared": len(scans),
            "duplicates": len(usable) - len(scans),
            "rejected": len(candidates) - len(usable),
            "contradictions": len(contradicted),
            "near_duplicate_pairs": len(alike.pairs),
            "of_these_by_registration": int(alike.registered.sum()),
            "near_duplicate_joins": joined,
            "look_alikes_of_other_patients": refused,
        },
    )


def _scan(one: Candidate, split: Split, group: str, taken: set[str]) -> Scan:
    """The row of the manifest, under a path that is not taken yet."""
    found = one.found
    name = _unique(f"{found.source}_{found.file.stem}", taken)
    return Scan(
        path=f"{split}/{FOLDER_OF_LABEL[found.label]}/{name}.png",
        label=found.label,
        source=found.source,
        split=split,
        group=group,
        patient=found.patient,
        sequence=found.sequence,
        flag=found.flag,
        sha256=one.sha256,
        origin=found.origin,
        quality=one.quality,
        width=one.size[0],
        height=one.size[1],
    )


def _links(
    alike: LookAlikes, stated: Sequence[int], groups: Sequence[int], paths: Sequence[str]
) -> list[Link]:
    """The pairs that say more than the sources do, of scans that are in the dataset."""
    return [
        Link(
            path=min(paths[one], paths[other]),
            other=max(paths[one], paths[other]),
            correlation=round(float(correlation), 4),
            registered=bool(registered),
            joined=groups[one] == groups[other],
        )
        for (one, other), correlation, registered in zip(
            alike.pairs.tolist(), alike.correlations, alike.registered, strict=True
        )
        if stated[one] != stated[other] and paths[one] and paths[other]
    ]


def _check_manifest(one: Candidate) -> Candidate:
    if one.code or not (contradiction := contradicts_manifest(one)):
        return one
    code, message = contradiction
    return replace(one, code=code, message=message)


def _stated_groups(usable: Sequence[Candidate]) -> tuple[list[int], Groups]:
    """Of each scan the first identical one, and the groups of what is identical or stated as one."""
    groups = Groups(len(usable))
    groups.join_equal(one.sha256 for one in usable)
    groups.join_equal(one.pixels_sha256 for one in usable)
    copies = groups.labels()
    groups.join_equal(_given_group(one.found) for one in usable)
    return copies, groups


def _given_group(one: Found) -> tuple[str, ...] | None:
    """The finest unit that the manifest states to belong together."""
    if one.group:
        return (one.catalogue, "group", one.group)
    return (one.catalogue, "patient", one.patient) if one.patient else None


def _patient(one: Found) -> Patient | None:
    return (one.catalogue, one.patient) if one.patient else None


def _said(one: Found) -> int:
    """How much a manifest says about a file."""
    return sum(map(bool, (one.group, one.patient, one.sequence, one.flag, one.split)))


def _one_copy_each(copies: Sequence[int], said: Sequence[int]) -> list[int]:
    """Of identical scans the one that its manifest says most about, else the first."""
    best: dict[int, int] = {}
    for scan, of in enumerate(copies):
        if of not in best or said[scan] > said[best[of]]:
            best[of] = scan
    return sorted(best.values())


def _group_names(found: Sequence[Found], groups: Sequence[int]) -> list[str]:
    """Name every group as its sources do where they do, else by its first scan; all different."""
    given: dict[int, list[str]] = {}
    for one, group in zip(found, groups, strict=True):
        given.setdefault(group, []).append(one.group or one.patient)
    taken: set[str] = set()
    names: dict[int, str] = {}
    for group, candidates in given.items():
        stated = sorted(filter(None, candidates))
        first = found[group]
        names[group] = _unique(stated[0] if stated else f"{first.source}_{first.file.stem}", taken)
    return [names[group] for group in groups]


def _unique(wish: str, taken: set[str]) -> str:
    """A name that every file system takes and that differs from all before, whatever the case."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", wish).strip("._")[:100] or "scan"
    name, count = safe, 1
    while name.lower() in taken:
        count += 1
        name = f"{safe}_{count}"
    taken.add(name.lower())
    return name
