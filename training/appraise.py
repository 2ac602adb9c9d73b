"""Everything that a model card states about a version, measured before the version is written.

The graph that will be served is called (`training.served_graph.frozen_core`), not the network it was
made from. The test split is measured here once, and nothing is chosen by it.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich.progress import track

from data.label_issues import read_label_issues
from training.bootstrap import Figure
from training.calibrate import Score
from training.decisions import (
    Decisions,
    DecisionsReport,
    decisions_by_source,
    decisions_report,
)
from training.localise import Localisation, Outlined, measure_localisation
from training.metrics import MacroAverage, Report, report, report_by_source
from training.refusals import RefusalReport, measure_refusals
from training.scans import ScanSet
from training.served_graph import Core
from training.shortcut import shortcut_scores
from training.unfamiliar import unfamiliar

#: What the leave-one-source-out command leaves in a run's folder.
LEAVE_ONE_SOURCE_OUT_FILE: Final = "leave_one_source_out.json"
#: Files of epochs in a run's folder, in the order of the stages.
_STAGE_FILES: Final = "*.csv"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures of one set of scans, by one model, and what they were computed from.

    Attributes:
        targets: float32 `[N]`, 1 for a tumour.
        answers: to N scans.
        whole: over all.
        by_source: the same for each source.
        macro: their mean.
        said: risks and refusals, and by source.
    """

    targets: NDArray[np.float32]
    answers: Decisions
    whole: Report
    by_source: dict[str, Report]
    macro: MacroAverage
    said: DecisionsReport
    said_by_source: dict[str, DecisionsReport]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """How the decision was fitted on the validation split.

    Attributes:
        comparison: cross-validated losses of the calibrators.
        intervals: of the thresholds.
        unseen_source_refused: share refused of a source that the density was fitted without.
    """

    comparison: dict[str, Score]
    intervals: dict[str, Figure]
    unseen_source_refused: dict[str, Figure]


@dataclass(frozen=True, kw_only=True)
class Appraisal:
    """All that a card states, apart from what is in the manifest.

    Attributes:
        held_out: the test split.
        test: the version on it.
        test_without_issues: the version on those of the test split that the audit did not list, or None
            where it listed none.
        validation: the version on the split that it was calibrated on.
        shortcut: the test split by a model that sees no content.
        shortcut_by_source: the same for each source.
        shortcut_macro: their mean.
        fitted: how calibration, thresholds and density came about.
        refusals: of images that are no brain MRI.
        localisation: of evidence maps against outlines, where there are some.
        leave_one_source_out: see `left_out_figures`.
        curves: epochs of the training, by stage, numbers by column.
    """

    held_out: ScanSet
    test: Measured
    test_without_issues: Report | None
    validation: Measured
    shortcut: Report
    shortcut_by_source: dict[str, Report]
    shortcut_macro: MacroAverage
    fitted: Fitted
    refusals: RefusalReport
    localisation: Localisation | None
    leave_one_source_out: dict[str, Any] | None
    curves: dict[str, dict[str, list[float]]]


def appraise(
    core: Core,
    fitted: Fitted,
    *,
    learned: ScanSet,
    chosen_by: ScanSet,
    held_out: ScanSet,
    outlines: Sequence[Outlined] | None,
    run: Path,
    before: Path | None,
    unfamiliar_views: int,
) -> Appraisal:
    """Measure a version that is about to be written.

    Args:
        core: of the graph to be served.
        fitted: how its decision was fitted.
        learned: the training split, for the shortcut floor.
        chosen_by: the validation split.
        held_out: the test split.
        outlines: scans with outlined tumours, of which those of the test split are taken, or None.
        run: folder of the training.
        before: folder of an earlier training, to set its leave-one-source-out figures beside.
        unfamiliar_views: images of each family that is no brain MRI.
    """
    shortcut = shortcut_scores(learned, held_out)
    by_source, macro = report_by_source(
        held_out.targets, shortcut, held_out.groups, held_out.sources, called=shortcut >= 0.5
    )
    test = measure(core, held_out, "test split")
    return Appraisal(
        held_out=held_out,
        test=test,
        test_without_issues=_without_issues(held_out, test),
        validation=measure(core, chosen_by, "validation split"),
        shortcut=report(held_out.targets, shortcut, held_out.groups, called=shortcut >= 0.5),
        shortcut_by_source=by_source,
        shortcut_macro=macro,
        fitted=fitted,
        refusals=measure_refusals(
            lambda images: ~core(tf.constant(images))["in_distribution"].numpy(),
            list(unfamiliar(views=unfamiliar_views)),
        ),
        localisation=_localise(core, held_out, outlines) if outlines else None,
        leave_one_source_out=left_out_figures(run, before),
        curves=read_curves(run),
    )


def measure(core: Core, scans: ScanSet, name: str) -> Measured:
    """Ask the graph about every scan of a set; `name` is for the progress bar."""
    answers = Decisions.joined(
        [
            {key: value.numpy() for key, value in core(tf.constant(scans.images(batch))).items()}
            for batch in track(scans.batches(32), f"Measuring on the {name}")
        ]
    )
    groups, sources = scans.groups, scans.sources
    targets, probabilities, called = scans.targets, answers.probabilities, answers.called
    by_source, macro = report_by_source(targets, probabilities, groups, sources, called=called)
    return Measured(
        targets=targets,
        answers=answers,
        whole=report(targets, probabilities, groups, called=called),
        by_source=by_source,
        macro=macro,
        said=decisions_report(answers, targets, groups),
        said_by_source=decisions_by_source(answers, targets, groups, sources),
    )


def _without_issues(scans: ScanSet, measured: Measured) -> Report | None:
    issues = read_label_issues(scans.folder)
    kept = np.array([scan.path not in issues for scan in scans.scans])
    if kept.all():
        return None
    return report(
        measured.targets[kept],
        measured.answers.probabilities[kept],
        [scan.group for scan in scans.scans if scan.path not in issues],
        called=measured.answers.called[kept],
    )


def read_curves(run: Path) -> dict[str, dict[str, list[float]]]:
    """Epochs of each stage of a run, oldest stage first: `{stage: {column: [value, …]}}`."""
    curves = {}
    for path in sorted(run.glob(_STAGE_FILES), key=lambda one: one.stat().st_mtime):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if rows and "val_loss" in rows[0]:
            curves[path.stem] = {name: [float(row[name]) for row in rows] for name in rows[0]}
    return curves


def _localise(core: Core, held_out: ScanSet, outlines: Sequence[Outlined]) -> Localisation | None:
    """On those scans of the test split that have an outline."""
    known = {scan.sha256 for scan in held_out.scans}
    scans = [scan for scan in outlines if scan.sha256 in known]
    if not scans:
        return None
    return measure_localisation(lambda images: core(tf.constant(images))["heatmap"].numpy(), scans)


def left_out_figures(run: Path, before: Path | None) -> dict[str, Any] | None:
    """What `python -m training loso` left in a run's folder, if it ran.

    Returns:
        `recipe`, `rows` and `before`: the same two of the earlier run, or None.
    """
    path = run / LEAVE_ONE_SOURCE_OUT_FILE
    if not path.is_file():
        return None
    earlier = left_out_figures(before, None) if before else None
    return {**json.loads(path.read_text()), "before": earlier}


def worst_errors(measured: Measured, *, count: int) -> Sequence[int]:
    """Indices of the scans whose label is wrong, the most certain error first."""
    wrong = measured.answers.called != (measured.targets > 0.5)
    distance = np.where(wrong, np.abs(measured.answers.probabilities - measured.targets), -1.0)
    return [int(i) for i in np.argsort(-distance, kind="stable")[:count] if wrong[i]]
