"""How well does the recipe do on a source that it never saw? Train without each source, test on it.

    python -m training loso --data prepared --run runs/first

The recipe is that of the run, which must have been begun. A source's scans of the training and
validation splits are the test; they are left out, and with them all that shows the same pictures or
patients. The dataset's test split stays untouched. Calibration and thresholds come from the validation
scans of the other sources, as in `export`. Scans whose label is doubtful, or that the audit lists, are
not in the test. Beside each figure stands the shortcut floor, trained and tested the same way.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from data.manifest import Split, dataset_hash, read_manifest
from training.appraise import LEAVE_ONE_SOURCE_OUT_FILE
from training.bootstrap import figure_text
from training.calibrate import choose_calibration, choose_thresholds
from training.checkpoint import write_whole
from training.metrics import Report, report
from training.scans import ScanSet, load_split
from training.settings import LeaveOneSourceOutSettings, TrainSettings
from training.shortcut import shortcut_scores
from training.train import (
    final_size,
    predict_logits,
    read_settings,
    stages,
    train,
    trained_network,
)

#: Folder in the run's folder with the trainings that leave something out.
WITHOUT: Final = "without"
#: Settings that are named where they differ from the default; epochs and views always are.
_NAMED: Final = (
    "lesions",
    "decoys",
    "styles",
    "jpeg",
    "reformats",
    "outline_weight",
    "pooling",
    "inverse_propensities",
    "random_networks",
    "frozen",
    "standardise",
    "ema",
    "learning_rate",
    "dropout",
    "weight_decay",
)
#: Joins sources that are left out together.
TOGETHER: Final = "+"


def leave_one_source_out(
    settings: LeaveOneSourceOutSettings, console: Console
) -> list[dict[str, Any]]:
    """Train without each source and test on it; finished trainings are not repeated.

    Returns:
        The rows that `leave_one_source_out.json` in the run's folder holds: `source`, `n`, `groups`,
        `report` of the network and `shortcut`, that of the floor. Beside them the file holds the
        `recipe` in words, the `settings` in which it differs from the run's, and the `data_hash`.

    Raises:
        RunError: the run was not begun.
        DatasetError: no source of that name.
    """
    shorter = {
        name: value
        for name in ("views_per_epoch", "epochs", "full_size_epochs")
        if (value := getattr(settings, name)) is not None
    }
    recipe = replace(read_settings(settings.run), data=settings.data, **shorter)
    left_out = settings.sources or _sources(settings.data)
    header = {
        "recipe": _in_words(recipe),
        "settings": shorter,
        "data_hash": dataset_hash(read_manifest(settings.data)),
    }
    path = settings.run / LEAVE_ONE_SOURCE_OUT_FILE
    earlier = _rows_of_earlier_calls(path, header)
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(left_out, start=1):
        console.rule(f"Without {name} ({number} of {len(left_out)})")
        rows.append(_without(name, recipe, settings.run / WITHOUT / name, console))
        measured = {row["source"] for row in rows}
        kept = [row for row in earlier if row["source"] not in measured]
        write_whole(path, json.dumps({**header, "rows": [*kept, *rows]}, indent=2) + "\n")
    console.print(_table(rows))
    return rows


def _rows_of_earlier_calls(path: Path, header: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the same recipe on the same dataset; others are not to be mixed with."""
    if not path.is_file():
        return []
    found = json.loads(path.read_text())
    same = all(found.get(name) == value for name, value in header.items())
    return list(found["rows"]) if same else []


def _without(name: str, recipe: TrainSettings, run: Path, console: Console) -> dict[str, Any]:
    sources = name.split(TOGETHER)
    settings = replace(recipe, run=run, without=sources)
    train(settings, console)
    network = trained_network(run)
    load = lambda *splits, **which: load_split(  # noqa: E731
        recipe.data, *splits, keep_doubtful=False, **which
    )
    chosen_by = load(Split.VAL, without=sources)
    left_out = load(Split.TRAIN, Split.VAL, only=sources)

    weights = chosen_by.weights()
    logits = predict_logits(network, chosen_by)
    groups = chosen_by.groups
    # A network worth nothing is a result here, not a reason to lose the table.
    calibration, _ = choose_calibration(
        logits, chosen_by.targets, weights, groups, allow_worthless=True
    )
    label = choose_thresholds(calibration.probability(logits), chosen_by.targets, weights).label
    probabilities = calibration.probability(predict_logits(network, left_out))
    floor = shortcut_scores(load(Split.TRAIN, without=sources), left_out)
    return {
        "source": name,
        "n": len(left_out),
        "groups": len(set(left_out.groups)),
        "report": _report(left_out, probabilities, label),
        "shortcut": _report(left_out, floor, 0.5),
    }


def _report(scans: ScanSet, probabilities: np.ndarray, label: float) -> Report:
    return report(scans.targets, probabilities, scans.groups, called=probabilities >= label)


def _sources(dataset: Path) -> list[str]:
    """Those that anything is learnt from."""
    return sorted({scan.source for scan in read_manifest(dataset) if scan.split != Split.TEST})


def _in_words(recipe: TrainSettings) -> str:
    """The recipe, and in what it differs from the default one."""
    usual = TrainSettings(data=recipe.data, run=recipe.run)
    other = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name in _NAMED
        if (value := getattr(recipe, name)) != getattr(usual, name)
    )
    epochs = ", ".join(
        f"{stage.epochs} of {stage.name.replace('_', ' ')} at {stage.image_size} pixels"
        for stage in stages(recipe)
        if stage.epochs
    )
    return (
        f"{recipe.network}, epochs: {epochs}; {recipe.views_per_epoch} views an epoch, "
        f"judged at {final_size(recipe)} pixels" + (f"; {other}" if other else "")
    )


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    columns = ("auc", "sensitivity", "specificity", "sensitivity_at_90_specificity")
    table = Table("left out", "n", "groups", *columns, "AUC of the floor", box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(
            row["source"],
            str(row["n"]),
            str(row["groups"]),
            *(figure_text(row["report"][column]) for column in columns),
            figure_text(row["shortcut"]["auc"]),
        )
    return table
