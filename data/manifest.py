"""The manifest of a prepared dataset: one row a scan, and the hash that names the whole."""

import csv
import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Final

from data.labels import Label

MANIFEST: Final = "manifest.csv"
#: Folder of a dataset with outlines of tumours, 0 and 255, laid out and named as the scans are.
MASKS: Final = "masks"


class DatasetError(Exception):
    """A dataset or its sources cannot be used; the message is one line and says what to do."""


class Split(StrEnum):
    """Part of a dataset: what may be learnt from, what chooses thresholds, what is only judged."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One prepared scan.

    Attributes:
        path: PNG, posix, relative to the dataset's folder, like `train/yes/cheng_0001.png`.
        label: its class.
        source: where it comes from: a scanner, a hospital, a published collection.
        split: the part it is in.
        group: scans of one group show the same picture or the same series; never split.
        patient: name of the patient (or of a set of patients) as the source gives it, or empty.
            Scans of one patient are in one split, whatever their groups.
        sequence: `t1c`, `flair` and the like as the source gives it, or empty.
        flag: doubts about the label, separated by `;`, or empty.
        sha256: of the original file.
        origin: the original's path relative to its SOURCE.
        quality: what is doubtful about the image, codes of `data.quality` separated by `;`, or empty;
            datasets that were prepared before these checks do not say.
        width: of the original, in pixels, or 0 where the dataset does not say.
        height: likewise.
    """

    path: str
    label: Label
    source: str
    split: Split
    group: str
    patient: str = ""
    sequence: str = ""
    flag: str = ""
    sha256: str
    origin: str
    quality: str = ""
    width: int = 0
    height: int = 0

    @property
    def person(self) -> tuple[str, str] | None:
        """Who a patient's name means, which it does within its source only; None where there is none."""
        return (self.source, self.patient) if self.patient else None


COLUMNS: Final = tuple(field.name for field in fields(Scan))
#: What manifests may lack.
_LATER_COLUMNS: Final = ("quality", "width", "height")


def read_manifest(folder: Path) -> list[Scan]:
    """Read the manifest of a prepared dataset.

    Args:
        folder: what `python -m data prepare … --out` wrote.

    Raises:
        DatasetError: there is no manifest, it has other columns, or a row is malformed.
    """
    path = folder / MANIFEST
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [
                name
                for name in COLUMNS
                if name not in (*(reader.fieldnames or []), *_LATER_COLUMNS)
            ]
            if missing:
                raise DatasetError(
                    f"{path} is not the manifest of a prepared dataset: it lacks "
                    f"{', '.join(missing)}. Run `python -m data prepare` on that folder first."
                )
            return [_scan(row, path, reader.line_num) for row in reader]
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(
            f"{folder} holds no {MANIFEST}. Run `python -m data prepare SOURCE --out {folder}` first."
        ) from None
    except (UnicodeDecodeError, csv.Error):
        raise DatasetError(f"{path} is not a CSV file in UTF-8.") from None


def write_manifest(folder: Path, scans: Iterable[Scan]) -> None:
    """Write the manifest of a dataset at once: readers see the old one or the new one, whole."""
    partial = folder / f"{MANIFEST}.partial"
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        # Until Python 3.13 a lone "\r" is not quoted when lines end otherwise, and cannot be read back.
        quoted = csv.DictWriter(file, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        for row in map(asdict, scans):
            odd = any("\r" in str(cell) for cell in row.values())
            (quoted if odd else writer).writerow(row)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / MANIFEST)


def dataset_hash(scans: Iterable[Scan]) -> str:
    """Name a dataset by what a model learns from it: files, labels, split and groups.

    Paths, order and sidecar columns do not enter.

    Returns:
        SHA-256 in hexadecimal.
    """
    lines = sorted(f"{scan.sha256} {scan.label} {scan.split} {scan.group}\n" for scan in scans)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def rows_hash(scans: Iterable[Scan]) -> str:
    """Name an array with one row a scan, like its pixels: other files or another order, another name.

    Returns:
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for scan in scans:
        digest.update(f"{scan.sha256} {scan.path}\n".encode())
    return digest.hexdigest()


def _scan(row: dict[str, str | None], path: Path, line: int) -> Scan:
    cells = {name: row.get(name) or "" for name in COLUMNS}
    try:
        return Scan(
            label=Label(cells.pop("label")),
            split=Split(cells.pop("split")),
            width=int(cells.pop("width") or 0),
            height=int(cells.pop("height") or 0),
            **cells,
        )
    except ValueError as error:
        raise DatasetError(f"{path}, line {line}: {error}.") from None
