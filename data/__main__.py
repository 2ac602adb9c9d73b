"""`python -m data`: build a dataset from folders of scans, and describe one."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cyclopts
from rich.console import Console

from data.fetch import FetchSettings, fetch
from data.manifest import DatasetError
from data.page import write_page
from data.prepare import PrepareSettings, prepare
from data.progress import shown_on
from data.recall import RecallSettings, measure
from data.recall import show as show_recall
from data.report import describe, show
from data.settings_env import environment

app: cyclopts.App = cyclopts.App(
    name="python -m data",
    help="From any pile of scans to a validated, de-duplicated, group-split dataset.",
    config=environment("DATA_", lambda: app),
)


@cyclopts.Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Where a report goes, besides the terminal."""

    json: Path | None = None
    """File to write the same figures to."""

    html: Path | None = None
    """File to write a page to: counts, duplicates, label suspects, invalid images, contact sheets."""


@app.command(name="prepare")
def prepare_command(*sources: Path, settings: PrepareSettings) -> None:
    """Build a dataset of 224x224 PNGs in which no picture and no patient is in two splits.

    A SOURCE is a folder that holds `yes/` (tumours) and `no/` at any depth. Sub-folders of these name
    the source of a scan; a `manifest.csv` beside or above them may add groups, patients and splits.

    Your originals are only read: files that cannot be used are copied, not moved, to
    `invalid_images/` in the dataset, with the reasons in `reasons.csv`.

    Example: `python -m data prepare ~/scans --out prepared/mine`

    Args:
        sources: Folders that hold `yes/` and `no/`.
        settings: See the options.
    """
    prepare(sources, settings, Console(stderr=True))


@app.command(name="report")
def report_command(folder: Path, *, settings: ReportSettings | None = None) -> int:
    """Count a dataset by split, class and source; exit with 1 if a group or patient crosses splits.

    Args:
        folder: What `prepare --out` wrote.
        settings: See the options.
    """
    report = describe(folder)
    show(report, Console())
    settings = settings or ReportSettings()
    _write_json(report.as_json(), settings.json)
    if settings.html:
        console = Console(stderr=True)
        write_page(folder, report, settings.html, shown_on(console))
        console.print(f"Written: {settings.html}")
    for name in report.crossing:
        print(f"error: {name} is in more than one split", file=sys.stderr)
    return 1 if report.crossing else 0


@app.command(name="duplicates")
def duplicates_command(*sources: Path, settings: RecallSettings | None = None) -> None:
    """Measure how well near-duplicates are found, against the groups that manifests state.

    Prints precision and recall of pairs, and how many copies of a random sample are recognised after
    turns, crops, filters and re-encoding.

    Args:
        sources: Folders that hold `yes/` and `no/`, with a `manifest.csv` that states groups.
        settings: See the options.
    """
    settings = settings or RecallSettings()
    recall = measure(sources, settings, Console(stderr=True))
    show_recall(recall, Console())
    _write_json(recall.as_json(), settings.json)


@app.command(name="fetch")
def fetch_command(*names: str, settings: FetchSettings) -> None:
    """Get public collections and arrange them as SOURCEs; their licences are printed first.

    Known are nav, br35h, sartaj, tcga_lgg and cheng. Needs `pip install kagglehub pooch tqdm`, and
    nothing of it with `--unpacked`.

    Example: `python -m data fetch nav cheng --out scans`

    Args:
        names: Collections; all if none is named.
        settings: See the options.
    """
    fetch(names, settings, Console())


def _write_json(figures: dict[str, Any], path: Path | None) -> None:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default the process's; mistakes are one line and exit with 1."""
    tokens = sys.argv[1:] if arguments is None else arguments
    try:
        answer = app(tokens, result_action="return_value", exit_on_error=False, print_error=False)
    except (DatasetError, OSError, cyclopts.CycloptsError) as error:
        print(f"python -m data: {str(error).strip()}", file=sys.stderr)
        return 1
    return answer or 0


if __name__ == "__main__":
    sys.exit(main())
