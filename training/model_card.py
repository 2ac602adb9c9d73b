"""The model card as data: what a version is, was made from, can and cannot do."""

import json
import os
import subprocess
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Final

from data.manifest import Scan, dataset_hash
from serving.contract import MODEL_NAME
from training.appraise import Appraisal, Measured, worst_errors
from training.calibrate import HIGH_SPECIFICITY, LOW_SENSITIVITY
from training.card_terms import describe_sources, licence, limits
from training.familiarity import COMPONENTS, REFUSED
from training.metrics import CALIBRATION_BINS, MacroAverage, Report
from training.served_graph import Decision
from training.settings import TrainSettings

Card = dict[str, Any]

#: Errors that the card lists.
WORST: Final = 24
#: What is told of a figure that only stands beside another.
_BRIEF: Final = ("auc", "pr_auc", "sensitivity_at_90_specificity")


def build_card(
    *,
    version: int,
    run: dict[str, Any],
    decision: Decision,
    scans: list[Scan],
    prepared: dict[str, Any],
    appraisal: Appraisal,
) -> Card:
    """Everything worth knowing about a version, ready for `json.dumps`.

    Args:
        version: number of its directory.
        run: the training's settings.
        decision: calibration, thresholds and density.
        scans: the whole dataset, all splits.
        prepared: options that the dataset was prepared with; empty if unknown.
        appraisal: what was measured.
    """
    counts: dict[str, dict[str, int]] = {}
    for scan in scans:
        split = counts.setdefault(scan.split, {})
        name = f"{scan.source}/{scan.label}"
        split[name] = split.get(name, 0) + 1
    sources = describe_sources(scans, left_out=run["without"])
    thresholds, calibration = decision.thresholds, decision.calibration
    fitted = appraisal.fitted
    return {
        "model": MODEL_NAME,
        "version": version,
        "created": _created().isoformat(timespec="seconds"),
        "intended_use": "Research and teaching on brain MRI slices. Not a medical device.",
        "network": run["network"],
        "thresholds": {
            "low": round(thresholds.low, 6),
            "label": round(thresholds.label, 6),
            "high": round(thresholds.high, 6),
        },
        "thresholds_intervals": fitted.intervals,
        "thresholds_chosen_for": {
            "low": f"risk is low below it: sensitivity of at least {LOW_SENSITIVITY} on validation",
            "label": "label is tumor from it up: there a tumour is the likelier answer, classes weighing "
            "alike",
            "high": f"risk is high from it up: specificity of at least {HIGH_SPECIFICITY} on "
            "validation",
        },
        "calibration": {
            "method": calibration.method,
            "fitted_on": "the validation split, classes and sources of equal weight",
            "a": round(calibration.a, 6),
            "b": round(calibration.b, 6),
            "c": round(calibration.c, 6),
            "cross_validated": fitted.comparison,
            "bins_of_ece": f"{CALIBRATION_BINS} of equal mass",
        },
        "out_of_distribution": {
            "method": "probabilistic PCA of the means and standard deviations of the channels of a "
            f"middle layer, {COMPONENTS} components; a score above 1 is refused",
            "share_of_validation_refused": REFUSED,
            "refused_scans_of_the_test_split": {
                source: said["refused"] for source, said in appraisal.test.said_by_source.items()
            },
            "refused_scans_of_a_source_that_the_density_never_saw": fitted.unseen_source_refused,
            "no_brain_mri": appraisal.refusals,
        },
        "metrics": {
            "test": appraisal.test.whole,
            "test_without_label_issues": appraisal.test_without_issues,
            "test_by_source": appraisal.test.by_source,
            "test_mean_of_sources": appraisal.test.macro,
            "validation": appraisal.validation.whole,
            "shortcut_floor": {
                "method": "gradient boosting on border, brightness and sharpness, no content",
                "test": _brief(appraisal.shortcut),
                "test_by_source": {k: _brief(v) for k, v in appraisal.shortcut_by_source.items()},
                "test_mean_of_sources": _brief(appraisal.shortcut_macro),
            },
            "intervals": "95 %, bootstrapped by group (patient or duplicates)",
        },
        "decisions": {"test": appraisal.test.said, "validation": appraisal.validation.said},
        "leave_one_source_out": appraisal.leave_one_source_out,
        "evidence_map": appraisal.localisation,
        "worst_errors": _worst(appraisal),
        "data": {
            "sha256": dataset_hash(scans),
            "counts": counts,
            "sources": sources,
            "prepared_with": prepared.get("options", {}),
        },
        "training": {name: value for name, value in run.items() if name not in ("data", "run")},
        "reproduce": reproduce(run, prepared, appraisal),
        "limits": limits(sources, appraisal.refusals),
        "licence": licence(sources, run["network"]),
        "git_commit": _git_commit(),
        "libraries": {name: library_version(name) for name in ("tensorflow", "keras", "numpy")},
    }


def render_json(card: Card) -> str:
    """The card as JSON text."""
    return json.dumps(card, indent=1) + "\n"


def reproduce(run: dict[str, Any], prepared: dict[str, Any], appraisal: Appraisal) -> list[str]:
    """The commands that make the version again, one a line, with every setting that was in force."""
    options = prepared.get("options", {})
    prepare = ["python -m data prepare SOURCE… --out prepared", *_flags(options)]
    flags = {field.name for field in fields(TrainSettings)} - {"data", "run"}
    settings = {name: value for name, value in run.items() if name in flags}
    commands = [
        " ".join(prepare),
        "python -m training audit --data prepared",
        " ".join(["python -m training train --data prepared --run runs/again", *_flags(settings)]),
    ]
    if found := appraisal.leave_one_source_out:
        asked = {"sources": [row["source"] for row in found["rows"]], **found.get("settings", {})}
        loso = ["python -m training loso --data prepared --run runs/again", *_flags(asked)]
        commands.append(" ".join(loso))
    outlines = " --outlines SOURCE" if appraisal.localisation else ""
    commands.append(f"python -m training export --run runs/again --data prepared{outlines}")
    return commands


def _flags(settings: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in settings.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            flags.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, list):
            flags += [f"{flag} {item}" for item in value]
        elif value is not None:
            flags.append(f"{flag} {value}")
    return flags


def _brief(figures: Report | MacroAverage) -> dict[str, Any]:
    return {name: figures[name] for name in _BRIEF}


def _worst(appraisal: Appraisal) -> list[dict[str, Any]]:
    measured: Measured = appraisal.test
    scans = appraisal.held_out.scans
    return [
        {
            "scan": scans[i].origin,
            "source": scans[i].source,
            "label": str(scans[i].label),
            "flag": scans[i].flag,
            "probability": round(float(measured.answers.probabilities[i]), 4),
            "refused": bool(measured.answers.refused[i]),
        }
        for i in worst_errors(measured, count=WORST)
    ]


def _created() -> datetime:
    """Now, or the moment that SOURCE_DATE_EPOCH names, so that a version can be made again to the byte."""
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(stated), UTC) if stated else datetime.now(UTC)


def _git_commit() -> str:
    """The commit of the training code, marked when the tree has changes; `unknown` outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(  # noqa: S603 our own words
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
