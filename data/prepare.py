"""From folders of scans to a dataset: checked, letterboxed, de-duplicated, split by group.

The result appears under its name in one rename: an interrupted run leaves at most a folder that ends
in `.partial`, which the next run removes.
"""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from cyclopts import Parameter, validators
from PIL import Image
from rich.console import Console

from data.assemble import Candidate, Link, assemble
from data.duplicates import Appearance
from data.imaging import ScanError, decode_scan, letterbox, read_scan
from data.labels import LABEL_OF_FOLDER
from data.manifest import MASKS, DatasetError, Scan, Split, dataset_hash, write_manifest
from data.progress import Progress, shown_on
from data.quality import Severity, check_quality
from data.sources import Found, find_scans, written

#: Raise when the same inputs would give another dataset than before.
VERSION: Final = 6
RECORD: Final = "prepared.json"
REJECTS: Final = "invalid_images"
REASONS: Final = "reasons.csv"
LINKS: Final = "duplicates.csv"
#: Below this many files, starting processes takes longer than decoding.
_PARALLEL_FROM: Final = 200
_MARKER: Final = ".preparing"


@Parameter(name="*")
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

    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 2024
    """Of the deal of groups to splits."""

    workers: Annotated[int, Parameter(validator=validators.Number(gte=1))] = os.cpu_count() or 1
    """Processes that decode; changes the time only."""


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
    out, progress = settings.out.resolve(), shown_on(console)
    _check_folders(sources, out)
    found = [one for source in sources for one in find_scans(source)]
    _check_hold_out(found, settings.hold_out)
    hashes = [file_hash(one.file) for one in progress(found, "Reading")]
    fingerprint = _fingerprint(found, hashes, settings)
    before = read_record(out)
    if before and before["fingerprint"] == fingerprint:
        console.print(f"{settings.out} is up to date: same files, same options. Nothing changed.")
        return before

    with _staging(out) as staging:
        candidates = _decode_all(found, hashes, staging / "decoded", settings.workers, progress)
        assembly = assemble(
            candidates,
            hold_out=settings.hold_out,
            keep_splits=settings.keep_splits,
            seed=settings.seed,
            progress=progress,
        )
        scans, counts = assembly.scans, assembly.counts
        for split in Split:
            for folder in LABEL_OF_FOLDER:
                (staging / split / folder).mkdir(parents=True)
        for scan, index in zip(scans, assembly.indices, strict=True):
            (staging / "decoded" / f"{index}.png").rename(staging / scan.path)
        shutil.rmtree(staging / "decoded")
        _copy_rejects(assembly.rejects, sources, staging / REJECTS)
        _write_links(assembly.links, staging / LINKS)
        _write_masks(scans, [found[index] for index in assembly.indices], staging, console)
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
        f"of which joined groups; {counts['of_these_by_registration']} took registration."
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


def file_hash(file: Path) -> str:
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
        described = {
            name: value for name, value in vars(one).items() if name not in ("file", "mask")
        }
        described["mask"] = file_hash(one.mask) if one.mask else ""
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
    found: Sequence[Found], hashes: Sequence[str], folder: Path, workers: int, progress: Progress
) -> list[Candidate]:
    """Decode every file to `folder/<index>.png`, in order of the files."""
    folder.mkdir()
    targets = [folder / f"{i}.png" for i in range(len(found))]
    if workers <= 1 or len(found) < _PARALLEL_FROM:
        return list(progress(map(_decode, found, hashes, targets), "Decoding", len(found)))
    # OpenCV's threads, started by an earlier call, do not survive a fork.
    context = get_context("forkserver")
    with ProcessPoolExecutor(workers, context) as pool:
        results = pool.map(_decode, found, hashes, targets, chunksize=32)
        return list(progress(results, "Decoding", len(found)))


def _decode(found: Found, sha256: str, target: Path) -> Candidate:
    try:
        image = decode_scan(read_scan(found.file))
    except ScanError as error:
        return Candidate(found=found, sha256=sha256, code=error.code, message=str(error))
    except OSError as error:
        message = f"The file cannot be read: {error.strerror}."
        return Candidate(found=found, sha256=sha256, code="unreadable", message=message)
    findings = check_quality(image)
    if findings and findings[0].severity is Severity.REJECT:
        worst = findings[0]
        return Candidate(found=found, sha256=sha256, code=worst.code, message=worst.message)
    pixels = letterbox(image)
    # Level 1 takes a third of the time of Pillow's default for a fifth more bytes.
    Image.fromarray(pixels).save(target, compress_level=1)
    return Candidate(
        found=found,
        sha256=sha256,
        pixels_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
        appearance=Appearance.of(pixels),
        quality=";".join(finding.code for finding in findings),
        size=image.size,
    )


def _copy_rejects(rejects: Sequence[Candidate], sources: Iterable[Path], folder: Path) -> None:
    """Copy rejected files to a folder for each SOURCE, and write the reasons beside these."""
    folder.mkdir()
    names: dict[Path, str] = {}
    for source in dict.fromkeys(path.resolve() for path in sources):
        # SOURCES may have one name: a/scans and b/scans become scans and scans-2.
        numbered = (f"{source.name}-{number}" for number in count(2))
        free = (name for name in chain([source.name], numbered) if name not in names.values())
        names[source] = next(free)
    with (folder / REASONS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["origin", "code", "message", "file"])
        for reject in rejects:
            copied = ""
            if reject.code != "unreadable":
                source = _source_of(reject.found)
                target = folder / names[source] / reject.found.file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(reject.found.file, target)
                copied = written(target.relative_to(folder))
            writer.writerow([reject.found.origin, reject.code, reject.message, copied])


def _source_of(found: Found) -> Path:
    """The SOURCE in which a file was found."""
    return found.file.parents[len(Path(found.origin).parts) - 1]


def _write_masks(
    scans: Sequence[Scan], found: Sequence[Found], folder: Path, console: Console
) -> None:
    """Letterbox the outlines of tumours as their scans were."""
    unusable: list[Path] = []
    outlined = [
        (scan, one.mask) for scan, one in zip(scans, found, strict=True) if one.mask is not None
    ]
    for scan, file in shown_on(console)(outlined, "Outlines"):
        try:
            mask = decode_scan(read_scan(file))
        except (ScanError, OSError):
            unusable.append(file)
            continue
        # An outline of another shape than its scan would not lie where the tumour does.
        if abs(mask.width * scan.height - mask.height * scan.width) > max(mask.size):
            unusable.append(file)
            continue
        target = folder / MASKS / scan.path
        target.parent.mkdir(parents=True, exist_ok=True)
        white = letterbox(mask)[..., 0] > 127
        Image.fromarray(white.astype(np.uint8) * 255).save(target)
    if unusable:
        console.print(
            f"{len(unusable)} outlines of tumours cannot be read or have another shape than their "
            f"scan, and are left out; the first is {unusable[0]}."
        )


def _write_links(links: Sequence[Link], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Link)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(link) for link in links)
