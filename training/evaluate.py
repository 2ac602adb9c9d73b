"""Measure an exported version on any folder of scans.

    python -m training evaluate --model models/brain_tumor/1 --data prepared/test --json report.json

The version itself is called, through `serving_default`, so that the figures are those of what is served.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from data.imaging import ScanError, prepare_scan, read_scan
from data.label_issues import list_label_issues
from data.labels import Label
from data.sources import Found, find_scans
from serving.contract import SERVING_DEFAULT
from serving.versions import SAVED_MODEL
from training.bootstrap import figure_text
from training.decisions import (
    Decisions,
    DecisionsReport,
    decisions_by_source,
    decisions_report,
)
from training.errors import EvaluationError
from training.metrics import MacroAverage, Report, report, report_by_source
from training.settings import EvaluateSettings

#: Figures that fit on a terminal; `--json` writes all.
SHOWN = ("auc", "sensitivity", "specificity")


def evaluate(settings: EvaluateSettings, console: Console) -> dict[str, Any]:
    """Predict every scan of a folder and compare with its label.

    Returns:
        What `--json` writes: the figures of `training.metrics.Report` over all, the same by source and
        their mean over sources, the same over all but the scans that `python -m training audit` listed
        (None where it listed none), what was said (`training.decisions`), and the files that could not
        be read.

    Raises:
        EvaluationError: no version there, or no readable scan among those found.
        DatasetError: no scans there.
    """
    check_version(settings.model)
    found = find_scans(settings.data)
    read, rejected, answers = _predict(settings, found)
    if not read:
        raise EvaluationError(f"None of the {len(found)} files in {settings.data} can be read.")
    targets = np.array([scan.label == Label.TUMOR for scan in read], dtype=np.float32)
    groups = [_group(scan) for scan in read]
    probabilities, called = answers.probabilities, answers.called
    whole = report(targets, probabilities, groups, called=called)
    sources = [scan.stated_source or scan.source for scan in read]
    by_source, macro = report_by_source(targets, probabilities, groups, sources, called=called)
    said_by_source = decisions_by_source(answers, targets, groups, sources)
    said = decisions_report(answers, targets, groups)
    kept = ~_listed(settings.data, read)
    without = None
    if not kept.all():
        of_kept = [group for group, keep in zip(groups, kept, strict=True) if keep]
        without = report(targets[kept], probabilities[kept], of_kept, called=called[kept])
    result = {
        "model": str(settings.model),
        "data": str(settings.data),
        **whole,
        "by_source": {
            source: {**figures, "decisions": said_by_source[source]}
            for source, figures in by_source.items()
        },
        "macro_average": macro,
        "without_label_issues": without,
        "decisions": said,
        "rejected": rejected,
        "intervals": "95 %, bootstrapped by group, or by patient where no group is stated",
    }
    write_json(result, settings.json)
    console.print(_figures_table(whole, without, by_source, macro))
    if without:
        listed = len(kept) - without["n"]
        console.print(f"Listed by the audit of the dataset as probably mislabelled: {listed}")
    console.print(_decisions_table(said))
    for reason, count in rejected.items():
        console.print(f"{count} files could not be read: {reason}")
    return result


def write_json(figures: Mapping[str, Any], path: Path | None) -> None:
    """Write figures to a file, if one is named; its folder is made."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n")


def check_version(model: Path) -> None:
    """Raise an EvaluationError unless a folder is a version directory."""
    if not (model / SAVED_MODEL).is_file():
        raise EvaluationError(
            f"{model} is not a version directory: it holds no {SAVED_MODEL}. "
            "Give one such as models/brain_tumor/1."
        )


def _predict(
    settings: EvaluateSettings, found: list[Found]
) -> tuple[list[Found], dict[str, int], Decisions]:
    """Scans that could be read, counts of reasons for the others, and the version's answers."""
    served = tf.saved_model.load(str(settings.model)).signatures[SERVING_DEFAULT]
    read: list[Found] = []
    rejected: dict[str, int] = {}
    batches: list[dict[str, np.ndarray]] = []
    starts = range(0, len(found), settings.batch_size)
    for start in track(starts, f"Predicting {len(found)} scans"):
        images = []
        for scan in found[start : start + settings.batch_size]:
            try:
                images.append(prepare_scan(read_scan(scan.file)))
                read.append(scan)
            except ScanError as error:
                rejected[error.code] = rejected.get(error.code, 0) + 1
        if images:
            batches.append({k: v.numpy() for k, v in served(tf.constant(np.stack(images))).items()})
    return read, rejected, Decisions.joined(batches)


def _group(scan: Found) -> str:
    """What belongs together, as in `prepare`: a stated group, else a patient, else the scan alone.

    Names mean something within one manifest only.
    """
    if scan.group:
        return f"group {scan.group} of {scan.catalogue}"
    return f"patient {scan.patient} of {scan.catalogue}" if scan.patient else scan.origin


def _listed(data: Path, scans: list[Found]) -> NDArray[np.bool_]:
    """Whether the audit of the dataset, of which `data` is the whole or a split, lists each scan."""
    suspects = {
        issue.sha256 for folder in (data, data.parent) for issue in list_label_issues(folder)
    }
    return np.array([scan.stated_sha256 in suspects for scan in scans], bool)


def _figures_table(
    whole: Report, without: Report | None, by_source: dict[str, Report], macro: MacroAverage
) -> Table:
    table = Table("source", "n", "groups", *SHOWN, box=box.SIMPLE_HEAD)

    def add(name: str, n: str, groups: str, figures: Report | MacroAverage) -> None:
        cells = [figure_text(figures[metric]) for metric in SHOWN]  # type: ignore[literal-required]
        table.add_row(name, n, groups, *cells)

    add("all", str(whole["n"]), str(whole["groups"]), whole)
    if without:
        add("all but listed", str(without["n"]), str(without["groups"]), without)
    if len(by_source) > 1:
        for name, figures in by_source.items():
            add(name, str(figures["n"]), str(figures["groups"]), figures)
        add("mean of sources", "", "", macro)
    return table


def _decisions_table(said: DecisionsReport) -> Table:
    table = Table("said", "n", "share", "tumours among them", box=box.SIMPLE_HEAD)
    for risk, row in said["risk"].items():
        share, tumours = figure_text(row["share"]), figure_text(row["tumor_rate"])
        table.add_row(f"risk {risk}", str(row["n"]), share, tumours)
    refused = said["refused"]
    tumours = figure_text(refused["tumor_rate"])
    table.add_row("refused", str(refused["n"]), figure_text(refused["share"]), tumours)
    return table
