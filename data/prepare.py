"""From folders of scans to a dataset: checked, letterboxed, de-duplicated, split by group.

The result appears under its name in one rename: an interrupted run leaves at most a folder that ends
in `.partial`, which the next run removes.
"""

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import cyclopts
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track

from data.grouping import Groups, join_near_duplicates, near_duplicates, thumbnail
from data.imaging import ScanError, prepare_scan, read_scan
from data.labels import LABEL_OF_FOLDER
from data.manifest import DatasetError, Scan, Split, dataset_hash, write_manifest
from data.sources import Found, find_scans
from data.split import deal

#: Raise when the same inputs would give another dataset than before.
VERSION: Final = 1
RECORD: Final = "prepared.json"
REJECTS: Final = "invalid_images"
REASONS: Final = "reasons.csv"
#: Below this many files, starting processes takes longer than decoding.
_PARALLEL_FROM: Final = 200
_FOLDER_OF_LABEL: Final = {label: folder for folder, label in LABEL_OF_FOLDER.items()}
_MARKER: Final = ".preparing"

T = TypeVar("T")


@cyclopts.Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """What a dataset depends on, besides its sources."""

    out: Path
    """Folder of the dataset. Replaced as a whole if inputs or options changed; refused if it holds
    anything else."""

    hold_out: list[str] = field(default_factory=list)
    """Name of a source, or of a SOURCE folder, whose scans all go to the test split, and with them
    whatever shares a group or a patient with one of them."""

    keep_splits: bool = True
    """Keep the split that a SOURCE's manifest proposes; otherwise deal every group anew."""

    seed: int = 2024
    """Of the deal of groups to splits."""

    workers: int = os.cpu_count() or 1
    """Processes that decode; changes the time only."""


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A file that is no usable scan, and why."""

    found: Found
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """What decoding one file left: a PNG on disk, its pixels' hash and its thumbnail; or an error."""

    pixels_sha256: str = ""
    pattern: NDArray[np.float32] | None = None
    code: str = ""
    message: str = ""


def prepare(sources: Sequence[Path], settings: PrepareSettings, console: Console) -> dict[str, Any]:
    """Build a dataset, unless it is there already.

    Args:
        sources: folders that hold `yes/` and `no/` at any depth; left as they are.
        settings: where to and how.
        console: for progress and the closing summary.

    Returns:
        The record that is also written to `prepared.json`.

    Raises:
        DatasetError: the sources or the target cannot be used.
    """
    out = settings.out.resolve()
    _check_folders(sources, out)
    found = [one for source in sources for one in find_scans(source)]
    _check_hold_out(found, settings.hold_out)
    hashes = [_file_hash(one.file) for one in _track(found, "Reading", console)]
    fingerprint = _fingerprint(found, hashes, settings)
    before = read_record(out)
    if before and before["fingerprint"] == fingerprint:
        console.print(f"{settings.out} is up to date: same files, same options. Nothing changed.")
        return before

    with _staging(out) as staging:
        decoded = _decode_all(found, staging / "decoded", settings.workers, console)
        scans, rejects, counts, pngs = _assemble(found, hashes, decoded, settings, console)
        for split in Split:
            for folder in LABEL_OF_FOLDER:
                (staging / split / folder).mkdir(parents=True)
        for scan, png in zip(scans, pngs, strict=True):
            (staging / "decoded" / f"{png}.png").rename(staging / scan.path)
        shutil.rmtree(staging / "decoded")
        _copy_rejects(rejects, staging / REJECTS)
        write_manifest(staging, scans)
        record = {
            "preparation": VERSION,
            "fingerprint": fingerprint,
            "dataset": dataset_hash(scans),
            "options": {
                "hold_out": sorted(settings.hold_out),
                "keep_splits": settings.keep_splits,
                "seed": settings.seed,
            },
            **counts,
        }
        (staging / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    console.print(
        f"{settings.out}: {counts['prepared']} scans of {counts['found']} files; "
        f"{counts['duplicates']} duplicates left out, {counts['rejected']} rejected; "
        f"{counts['near_duplicate_pairs']} near-duplicate pairs, {counts['near_duplicate_joins']} "
        f"of which joined groups."
    )
    return record


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a prepared dataset, or None if the folder does not hold one."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    known = isinstance(record, dict) and {"preparation", "fingerprint"} <= record.keys()
    return record if known else None


def _check_folders(sources: Sequence[Path], out: Path) -> None:
    if not sources:
        raise DatasetError("Name at least one SOURCE: a folder that holds `yes/` and `no/`.")
    for source in (path.resolve() for path in sources):
        if out.is_relative_to(source) or source.is_relative_to(out):
            raise DatasetError(f"The dataset {out} and the SOURCE {source} lie inside each other.")
    if out.exists() and read_record(out) is None and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(
            f"{out} exists and is no dataset of ours. Choose another --out, or remove it yourself."
        )


def _check_hold_out(found: Iterable[Found], names: Iterable[str]) -> None:
    known = {name for one in found for name in (one.source, one.root)}
    for name in names:
        if name not in known:
            raise DatasetError(
                f"No source is called {name!r}; there are {', '.join(sorted(known))}."
            )


def _file_hash(file: Path) -> str:
    """SHA-256 of a file; of nothing if it cannot be read, which decoding reports."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return hashlib.sha256().hexdigest()


def _fingerprint(found: Sequence[Found], hashes: Sequence[str], settings: PrepareSettings) -> str:
    """Hash of all that the dataset depends on: contents and descriptions, not where files lie."""
    files = []
    for one, sha256 in zip(found, hashes, strict=True):
        described = {name: value for name, value in vars(one).items() if name != "file"}
        described["catalogue"] = Path(one.catalogue).name
        files.append([sha256, described])
    options = [sorted(settings.hold_out), settings.keep_splits, settings.seed]
    return hashlib.sha256(json.dumps([VERSION, options, files]).encode()).hexdigest()


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place once the block ends well."""
    staging = out.with_name(f"{out.name}.partial")
    if staging.exists():
        if any(staging.iterdir()) and not (staging / _MARKER).exists():
            raise DatasetError(f"{staging} is in the way and is not ours. Move it elsewhere.")
        shutil.rmtree(staging)
    staging.mkdir(parents=True)
    (staging / _MARKER).touch()
    yield staging
    (staging / _MARKER).unlink()
    if out.exists():
        # A folder cannot be replaced by a rename: the old one steps aside, still marked as ours.
        aside = out.with_name(f"{out.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        out.rename(aside)
        staging.rename(out)
        shutil.rmtree(aside)
    else:
        staging.rename(out)


def _decode_all(
    found: Sequence[Found], folder: Path, workers: int, console: Console
) -> list[_Decoded]:
    """Decode every file to `folder/<index>.png`, in order of the files."""
    folder.mkdir()
    files = [one.file for one in found]
    targets = [folder / f"{i}.png" for i in range(len(files))]
    if workers <= 1 or len(files) < _PARALLEL_FROM:
        return list(_track(map(_decode, files, targets), "Decoding", console, len(files)))
    with ProcessPoolExecutor(workers) as pool:
        results = pool.map(_decode, files, targets, chunksize=32)
        return list(_track(results, "Decoding", console, len(files)))


def _decode(file: Path, target: Path) -> _Decoded:
    try:
        pixels = prepare_scan(read_scan(file))
    except ScanError as error:
        return _Decoded(code=error.code, message=str(error))
    except OSError as error:
        return _Decoded(code="unreadable", message=f"The file cannot be read: {error.strerror}.")
    # Level 1 takes a third of the time of Pillow's default for a fifth more bytes.
    Image.fromarray(pixels).save(target, compress_level=1)
    return _Decoded(
        pixels_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(), pattern=thumbnail(pixels)
    )


def _assemble(
    found: Sequence[Found],
    hashes: Sequence[str],
    decoded: Sequence[_Decoded],
    settings: PrepareSettings,
    console: Console,
) -> tuple[list[Scan], list[Reject], dict[str, Any], list[int]]:
    """Decide on every file: reject, duplicate, or a scan in a group and a split.

    Returns:
        The scans by path, the rejects, the counts, and the index in `found` for each scan.
    """
    rejects = {
        i: Reject(found=found[i], code=code, message=message)
        for i, (code, message) in _refused(found, hashes, decoded).items()
    }
    valid = [i for i in range(len(found)) if i not in rejects]
    if not valid:
        raise DatasetError("None of the files is a usable scan; nothing was written.")

    groups = Groups(len(valid))
    groups.join_equal(hashes[i] for i in valid)
    groups.join_equal(decoded[i].pixels_sha256 for i in valid)
    copies = groups.labels()
    groups.join_equal(_given_group(found[i]) for i in valid)
    patterns = np.stack([p for i in valid if (p := decoded[i].pattern) is not None])
    pairs, _ = near_duplicates(
        patterns, progress=lambda blocks: _track(blocks, "Comparing", console)
    )
    patients = [_patient(found[i]) for i in valid]
    joined, refused = join_near_duplicates(groups, pairs, patients)
    units = Groups(len(valid))
    units.join_equal(groups.labels())
    units.join_equal(patients)

    held_out = set(settings.hold_out)
    proposals = [
        Split.TEST
        if held_out & {found[i].source, found[i].root}
        else (found[i].split if settings.keep_splits else None)
        for i in valid
    ]
    strata = [(found[i].label, found[i].source) for i in valid]
    splits = deal(units.labels(), strata, proposals, seed=settings.seed)
    kept = _one_copy_each(copies, [_said(found[i]) for i in valid])
    group_names = _group_names([found[i] for i in valid], groups.labels())
    scans: list[tuple[Scan, int]] = []
    taken: set[str] = set()
    for k in kept:
        one = found[valid[k]]
        name = _unique(f"{one.source}_{one.file.stem}", taken)
        scan = Scan(
            path=f"{splits[k]}/{_FOLDER_OF_LABEL[one.label]}/{name}.png",
            label=one.label,
            source=one.source,
            split=splits[k],
            group=group_names[k],
            patient=one.patient,
            sequence=one.sequence,
            flag=one.flag,
            sha256=hashes[valid[k]],
            origin=one.origin,
        )
        scans.append((scan, valid[k]))
    scans.sort(key=lambda pair: pair[0].path)
    counts = {
        "found": len(found),
        "prepared": len(scans),
        "duplicates": len(valid) - len(scans),
        "rejected": len(rejects),
        "near_duplicate_pairs": len(pairs),
        "near_duplicate_joins": joined,
        "look_alikes_of_other_patients": refused,
    }
    return [scan for scan, _ in scans], list(rejects.values()), counts, [i for _, i in scans]


def _refused(
    found: Sequence[Found], hashes: Sequence[str], decoded: Sequence[_Decoded]
) -> dict[int, tuple[str, str]]:
    """Code and message for each file that is no usable scan."""
    refused = {i: (d.code, d.message) for i, d in enumerate(decoded) if d.code}
    for i, one in enumerate(found):
        if i in refused:
            continue
        if one.stated_sha256 and one.stated_sha256 != hashes[i]:
            refused[i] = ("changed", "The file is not the one that its manifest describes.")
        elif one.stated_label and one.stated_label != one.label:
            refused[i] = (
                "contradictory_label",
                f"The manifest says {one.stated_label}, the folder {one.label}. Correct one of them.",
            )
    labels: dict[str, set[str]] = {}
    for i, one in enumerate(found):
        if i not in refused:
            labels.setdefault(decoded[i].pixels_sha256, set()).add(one.label)
    for i in range(len(found)):
        if i not in refused and len(labels[decoded[i].pixels_sha256]) > 1:
            refused[i] = (
                "contradictory_label",
                "The same picture is in `yes` and in `no`. Keep it where it belongs.",
            )
    return refused


def _given_group(one: Found) -> tuple[str, ...] | None:
    """The finest unit that the manifest states to belong together."""
    if one.group:
        return (one.catalogue, "group", one.group)
    return (one.catalogue, "patient", one.patient) if one.patient else None


def _patient(one: Found) -> tuple[str, str] | None:
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
        given.setdefault(group, []).append(one.group or (one.patient if one.patient else ""))
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


def _copy_rejects(rejects: Sequence[Reject], folder: Path) -> None:
    folder.mkdir()
    with (folder / REASONS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["origin", "code", "message"])
        for reject in rejects:
            writer.writerow([reject.found.origin, reject.code, reject.message])
            if reject.code == "unreadable":
                continue
            target = folder / reject.found.root / reject.found.origin
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(reject.found.file, target)


def _track(
    items: Iterable[T], what: str, console: Console, total: int | None = None
) -> Iterable[T]:
    return track(items, what, total=total, console=console, transient=True)
