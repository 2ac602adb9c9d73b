"""What a prepared dataset holds, and the proof that no group and no patient is in two splits."""

import csv
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from data.labels import Label
from data.manifest import Scan, Split, dataset_hash, read_manifest
from data.prepare import REASONS, REJECTS, read_record


@dataclass(frozen=True, kw_only=True)
class Report:
    """Counts of a dataset.

    Attributes:
        dataset: its hash.
        scans: number of scans by source, class and split.
        groups: number of groups by split.
        largest_groups: names and sizes of the five largest.
        rejects: number of rejected files by reason.
        duplicates: identical files left out, or None if the record is lost.
        crossing: `group NAME` or `patient NAME` for each that is in more than one split.
    """

    dataset: str
    scans: dict[str, dict[str, dict[str, int]]]
    groups: dict[str, int]
    largest_groups: dict[str, int]
    rejects: dict[str, int]
    duplicates: int | None
    crossing: list[str]

    @property
    def total(self) -> int:
        """Number of scans."""
        return sum(self.count())

    @property
    def largest_source(self) -> tuple[str, float]:
        """Name of the largest source, and its share of all scans, 0..1."""
        sizes = {source: sum(self.count(source=source)) for source in self.scans}
        name = max(sizes, key=sizes.__getitem__)
        return name, sizes[name] / self.total

    def count(
        self, *, source: str | None = None, label: str | None = None, split: str | None = None
    ) -> list[int]:
        """The counts that match; sum them."""
        return [
            n
            for of, labels in self.scans.items()
            for kind, splits in labels.items()
            for part, n in splits.items()
            if source in (None, of) and label in (None, kind) and split in (None, part)
        ]

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        source, share = self.largest_source
        return {
            **vars(self),
            "total": self.total,
            "largest_source": {"name": source, "share": round(share, 4)},
        }


def describe(folder: Path) -> Report:
    """Count what a prepared dataset holds.

    Raises:
        DatasetError: the folder holds none.
    """
    scans = read_manifest(folder)
    table: dict[str, dict[str, dict[str, int]]] = {
        source: {label: dict.fromkeys(Split, 0) for label in Label}
        for source in sorted({scan.source for scan in scans})
    }
    for scan in scans:
        table[scan.source][scan.label][scan.split] += 1
    groups = {split: {scan.group for scan in scans if scan.split == split} for split in Split}
    return Report(
        dataset=dataset_hash(scans),
        scans=table,
        groups={split: len(names) for split, names in groups.items()},
        largest_groups=dict(Counter(scan.group for scan in scans).most_common(5)),
        rejects=_rejects(folder),
        duplicates=(read_record(folder) or {}).get("duplicates"),
        crossing=crossing(scans),
    )


def crossing(scans: list[Scan]) -> list[str]:
    """Names of the groups and patients that are in more than one split; empty in a sound dataset."""
    places: dict[str, set[Split]] = defaultdict(set)
    for scan in scans:
        places[f"group {scan.group}"].add(scan.split)
        if scan.patient:
            # A name means a person within its source only.
            places[f"patient {scan.patient} of {scan.source}"].add(scan.split)
    return sorted(name for name, splits in places.items() if len(splits) > 1)


def show(report: Report, console: Console) -> None:
    """Print a report as tables."""
    table = Table(title=f"{report.total} scans, dataset {report.dataset[:16]}")
    table.add_column("source")
    for label in Label:
        for split in Split:
            table.add_column(f"{label}\n{split}", justify="right")
    table.add_column("share", justify="right")
    for source, labels in report.scans.items():
        cells = [str(n) for splits in labels.values() for n in splits.values()]
        share = sum(report.count(source=source)) / report.total
        table.add_row(source, *cells, f"{share:.1%}")
    table.add_section()
    totals = [sum(report.count(label=label, split=split)) for label in Label for split in Split]
    table.add_row("all", *map(str, totals), "100.0%")
    console.print(table)

    parts = Table()
    for name in ("split", "scans", "share", "groups"):
        parts.add_column(name, justify="left" if name == "split" else "right")
    for split in Split:
        size = sum(report.count(split=split))
        parts.add_row(split, str(size), f"{size / report.total:.1%}", str(report.groups[split]))
    console.print(parts)

    source, share = report.largest_source
    console.print(f"Largest source: {source}, {share:.1%} of all scans.")
    largest = ", ".join(f"{name} ({size})" for name, size in report.largest_groups.items())
    console.print(f"Largest groups: {largest}.")
    rejects = ", ".join(f"{n} {code}" for code, n in report.rejects.items()) or "none"
    console.print(f"Rejected files: {rejects}.")
    if report.duplicates is not None:
        console.print(f"Identical copies left out: {report.duplicates}.")
    if not report.crossing:
        console.print("No group and no patient is in more than one split.")


def _rejects(folder: Path) -> dict[str, int]:
    path = folder / REJECTS / REASONS
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return dict(Counter(row["code"] for row in csv.DictReader(file)).most_common())
