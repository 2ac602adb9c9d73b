"""Measure an exported version on any folder of scans.

    python -m training evaluate --model models/brain_tumor/1 --data prepared/test --json report.json

The version itself is called, through `serving_default`, so that the figures are those of what is served.
"""

import json
from typing import Any

import numpy as np
import tensorflow as tf
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from data.imaging import ScanError, prepare_scan, read_scan
from data.labels import Label
from data.sources import Found, find_scans
from serving.contract import SERVING_DEFAULT
from training.errors import EvaluationError
from training.metrics import METRICS, Report, figure_text, report
from training.settings import EvaluateSettings


def evaluate(settings: EvaluateSettings, console: Console) -> dict[str, Any]:
    """Predict every scan of a folder and compare with its label.

    Returns:
        What `--json` writes: the figures over all, by source, the version, the files that could not
        be read.

    Raises:
        EvaluationError: no version there, or no readable scan among those found.
        DatasetError: no scans there.
    """
    if not (settings.model / "saved_model.pb").is_file():
        raise EvaluationError(
            f"{settings.model} is not a version directory: it holds no saved_model.pb. "
            "Give one such as models/brain_tumor/1."
        )
    found = find_scans(settings.data)
    read, rejected, probabilities, called = _predict(settings, found)
    if not read:
        raise EvaluationError(f"None of the {len(found)} files in {settings.data} can be read.")
    of_source: dict[str, list[int]] = {}
    for i, scan in enumerate(read):
        of_source.setdefault(scan.stated_source or scan.source, []).append(i)
    whole = _report(read, probabilities, called, list(range(len(read))))
    by_source = {
        source: _report(read, probabilities, called, which)
        for source, which in sorted(of_source.items())
    }
    result = {
        "model": str(settings.model),
        "data": str(settings.data),
        **whole,
        "by_source": by_source,
        "rejected": rejected,
        "intervals": "95 %, bootstrapped by group",
    }
    if settings.json:
        settings.json.parent.mkdir(parents=True, exist_ok=True)
        settings.json.write_text(json.dumps(result, indent=2) + "\n")
    console.print(_table(whole, by_source))
    for reason, count in rejected.items():
        console.print(f"{count} files could not be read: {reason}")
    return result


def _predict(
    settings: EvaluateSettings, found: list[Found]
) -> tuple[list[Found], dict[str, int], np.ndarray, np.ndarray]:
    """Scans that could be read, counts of reasons for the others, P(tumour), label is tumor."""
    served = tf.saved_model.load(str(settings.model)).signatures[SERVING_DEFAULT]
    read: list[Found] = []
    rejected: dict[str, int] = {}
    probabilities: list[float] = []
    called: list[bool] = []
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
            answers = served(images=tf.constant(np.stack(images)))
            probabilities += answers["probability"].numpy().tolist()
            called += [label.decode() == Label.TUMOR for label in answers["label"].numpy()]
    return read, rejected, np.array(probabilities), np.array(called)


def _report(
    scans: list[Found], probabilities: np.ndarray, called: np.ndarray, which: list[int]
) -> Report:
    return report(
        np.array([scans[i].label == Label.TUMOR for i in which], dtype=np.float32),
        probabilities[which],
        [scans[i].group or scans[i].origin for i in which],
        called=called[which],
    )


def _table(whole: Report, by_source: dict[str, Report]) -> Table:
    table = Table("source", "n", "groups", *METRICS, box=box.SIMPLE_HEAD)
    rows = [("all", whole), *by_source.items()] if len(by_source) > 1 else [("all", whole)]
    for name, figures in rows:
        cells = [figure_text(figures[metric]) for metric in METRICS]
        table.add_row(name, str(figures["n"]), str(figures["groups"]), *cells)
    return table
