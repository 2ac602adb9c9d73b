"""Scans whose label is probably wrong, listed beside the manifest by `python -m training audit`."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from data.labels import Label
from data.manifest import DatasetError

LABEL_ISSUES: Final = "label_issues.csv"


@dataclass(frozen=True, kw_only=True)
class LabelIssue:
    """A scan whose label disagrees with what a model says that never saw it.

    Attributes:
        path: of the scan, as in the manifest.
        sha256: of the original file.
        source: where it comes from.
        label: as given.
        probability: of a tumour, by cross-validation, 0..1.
        quality: of the label, 0..1; low means that it is probably wrong.
    """

    path: str
    sha256: str
    source: str
    label: Label
    probability: float
    quality: float


_COLUMNS: Final = tuple(field.name for field in fields(LabelIssue))


def write_label_issues(dataset: Path, issues: Iterable[LabelIssue]) -> Path:
    """Write the list at once, the most doubtful first, and tell where it is."""
    path = dataset / LABEL_ISSUES
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(issue) for issue in sorted(issues, key=lambda one: one.quality))
    partial.replace(path)
    return path


def list_label_issues(dataset: Path) -> list[LabelIssue]:
    """Read the list, the most doubtful first; empty if the dataset was not audited.

    Raises:
        DatasetError: the list is malformed.
    """
    path = dataset / LABEL_ISSUES
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                LabelIssue(
                    path=row["path"],
                    sha256=row["sha256"],
                    source=row["source"],
                    label=Label(row["label"]),
                    probability=float(row["probability"]),
                    quality=float(row["quality"]),
                )
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path} is malformed ({error}). Remove it and run `python -m training audit` again."
        ) from None


def read_label_issues(dataset: Path) -> set[str]:
    """Paths, as in the manifest, of the scans whose label is probably wrong."""
    return {issue.path for issue in list_label_issues(dataset)}
