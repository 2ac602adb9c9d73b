"""A prepared dataset as one HTML page: counts, duplicates, doubts and what the scans look like."""

import base64
import csv
import glob
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
from PIL import Image

from data.imaging import SUFFIXES, ScanError, decode_scan, read_scan
from data.label_issues import list_label_issues
from data.labels import Label
from data.manifest import Scan, Split, read_manifest
from data.prepare import LINKS, REASONS, REJECTS, read_record
from data.progress import Progress
from data.report import Report

_TEMPLATE: Final = "report.html.j2"
_SIDE: Final = 96
#: Scans on a contact sheet, and in a row of it.
_SHEET: Final = 24
_COLUMNS: Final = 8
#: How many examples are shown; what there is more of is counted.
_PAIRS: Final = 24
_SUSPECTS: Final = 48
_REJECTS: Final = 60
#: Scans of a source whose grey levels are counted.
_HISTOGRAM_SAMPLE: Final = 200
_BARS: Final = 32


@dataclass(frozen=True, kw_only=True)
class Bars:
    """A histogram.

    Attributes:
        shares: of each bar, 0..1 of the largest.
        low: label of the left end.
        high: label of the right end.
        note: what it counts.
    """

    shares: list[float]
    low: str
    high: str
    note: str


def write_page(folder: Path, report: Report, path: Path, progress: Progress) -> None:
    """Write the page; it needs no other file and no network.

    Args:
        folder: a prepared dataset.
        report: its counts, from `data.report.describe`.
        path: of the HTML file.
        progress: shows how far it is.

    Raises:
        DatasetError: the folder holds no dataset.
    """
    scans = read_manifest(folder)
    by_path = {scan.path: scan for scan in scans}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(_TEMPLATE).render(
        report=report,
        record=read_record(folder) or {},
        splits=list(Split),
        labels=list(Label),
        warnings=_warnings(scans),
        sources=[
            _describe_source(folder, source, scans)
            for source in progress(sorted(report.scans), "Contact sheets and histograms")
        ],
        pairs=_pairs(folder, by_path, progress),
        suspects=_suspects(folder, by_path, progress),
        rejects=_rejects(folder, progress),
        crossing=report.crossing,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _warnings(scans: Iterable[Scan]) -> list[tuple[str, str, int]]:
    """Code, source and number of scans with a quality warning."""
    counts = Counter(
        (code, scan.source) for scan in scans for code in scan.quality.split(";") if code
    )
    return [(code, source, n) for (code, source), n in sorted(counts.items())]


def _describe_source(folder: Path, source: str, scans: Sequence[Scan]) -> dict[str, Any]:
    """Histograms of a source, and a contact sheet of each of its classes."""
    members = [scan for scan in scans if scan.source == source]
    spread = np.random.default_rng(0).permutation(len(members))
    mixed = [members[i] for i in spread]
    sheets = []
    for label in Label:
        shown = [scan for scan in mixed if scan.label == label][:_SHEET]
        if shown:
            total = sum(scan.label == label for scan in members)
            sheets.append((label, len(shown), total, _sheet(folder, shown)))
    return {
        "name": source,
        "sheets": sheets,
        "sizes": _size_bars(members),
        "levels": _level_bars(folder, mixed[:_HISTOGRAM_SAMPLE]),
    }


def _size_bars(members: Sequence[Scan]) -> Bars | None:
    """Longer sides of the originals, 0 to 1,600 pixels; None if the dataset does not tell them."""
    sides = [max(scan.width, scan.height) for scan in members if scan.width]
    if not sides:
        return None
    counts, _ = np.histogram(np.minimum(sides, 1599), bins=_BARS, range=(0, 1600))
    middle = int(np.median(sides))
    note = f"{min(sides)} to {max(sides)}, median {middle}"
    return Bars(shares=_relative(counts), low="0", high="1,600 px", note=note)


def _level_bars(folder: Path, members: Sequence[Scan]) -> Bars:
    """Grey levels of the prepared scans, without the black of their background."""
    counts = np.zeros(256)
    for scan in members:
        with Image.open(folder / scan.path) as image:
            counts += image.convert("L").histogram()
    dark = counts[:8].sum() / counts.sum()
    bars = counts.reshape(_BARS, -1).sum(axis=1)
    bars[0] = 0
    return Bars(shares=_relative(bars), low="8", high="255", note=f"{dark:.0%} darker than 8")


def _relative(counts: np.ndarray) -> list[float]:
    return [round(float(count / max(1, counts.max())), 4) for count in counts]


def _pairs(folder: Path, known: dict[str, Scan], progress: Progress) -> dict[str, Any]:
    """Near-duplicates that no source stated, the least alike first, and look-alikes kept apart."""
    rows = [row for row in _rows(folder / LINKS) if row["path"] in known and row["other"] in known]
    joined = [row for row in rows if row["joined"] == "True"]
    apart = [row for row in rows if row["joined"] != "True"]
    joined.sort(key=lambda row: float(row["correlation"]))

    def show(chosen: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
        return [
            {
                "image": _sheet(folder, [known[row["path"]], known[row["other"]]], columns=2),
                "correlation": float(row["correlation"]),
                "registered": row["registered"] == "True",
                "names": (Path(row["path"]).stem, Path(row["other"]).stem),
            }
            for row in progress(chosen, "Pairs")
        ]

    by_registration = [row for row in joined if row["registered"] == "True"]
    by_correlation = [row for row in joined if row["registered"] != "True"]
    return {
        "joined": len(joined),
        "registered": len(by_registration),
        "apart": len(apart),
        "shown": show(by_correlation[: _PAIRS // 2] + by_registration[: _PAIRS // 2]),
        "shown_apart": show(apart[: _PAIRS // 2]),
    }


def _suspects(folder: Path, known: dict[str, Scan], progress: Progress) -> dict[str, Any]:
    issues = [issue for issue in list_label_issues(folder) if issue.path in known]
    return {
        "counts": sorted(Counter((issue.source, issue.label) for issue in issues).items()),
        "total": len(issues),
        "shown": [
            {
                "image": _sheet(folder, [known[issue.path]], columns=1),
                "name": Path(issue.path).stem,
                "label": issue.label,
                "probability": issue.probability,
            }
            for issue in progress(issues[:_SUSPECTS], "Suspects")
        ],
    }


def _rejects(folder: Path, progress: Progress) -> dict[str, Any]:
    rows = _rows(folder / REJECTS / REASONS)
    shown = [
        {**row, "image": _thumbnail(_copy_of(row, folder / REJECTS))}
        for row in progress(rows[:_REJECTS], "Rejects")
    ]
    return {"total": len(rows), "shown": shown}


def _copy_of(row: dict[str, str], rejects: Path) -> Path | None:
    """Where the file of a row of reasons is; datasets prepared earlier name it without its SOURCE."""
    if "file" in row:
        return rejects / row["file"] if row["file"] else None
    return next(rejects.glob(f"*/{glob.escape(row['origin'])}"), None)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _thumbnail(path: Path | None) -> str | None:
    """A rejected file as an image, or None if it is none."""
    if path is None or path.suffix.lower() not in SUFFIXES:
        return None
    try:
        image = decode_scan(read_scan(path))
    except (ScanError, OSError):
        return None
    image.thumbnail((_SIDE, _SIDE))
    return _data_uri(image)


def _sheet(folder: Path, scans: Sequence[Scan], columns: int = _COLUMNS) -> str:
    """Scans side by side in rows, as one image in a data URI."""
    columns = min(columns, len(scans))
    rows = -(-len(scans) // columns)
    sheet = Image.new("L", (columns * _SIDE, rows * _SIDE))
    for i, scan in enumerate(scans):
        with Image.open(folder / scan.path) as image:
            small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
        sheet.paste(small, (i % columns * _SIDE, i // columns * _SIDE))
    return _data_uri(sheet)


def _data_uri(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
