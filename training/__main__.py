"""`python -m training …`: audit, train, tune, loso, export, evaluate, localise, bench."""

import logging
import os
import sys

# Before anything imports TensorFlow: its C++ start-up notes are of no use to a user.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cyclopts
from rich.console import Console

from data.imaging import ScanError
from data.manifest import DatasetError
from data.settings_env import environment
from serving.versions import VersionError
from training.errors import TrainingError
from training.settings import (
    AuditSettings,
    BenchSettings,
    EvaluateSettings,
    ExportSettings,
    LeaveOneSourceOutSettings,
    LocaliseSettings,
    TrainSettings,
    TuneSettings,
)

app: cyclopts.App = cyclopts.App(
    name="python -m training",
    help="""From a prepared dataset to an exported model.

    The usual way, about an hour on two cores:

        python -m data prepare SCANS --out prepared
        python -m training audit --data prepared
        python -m training train --data prepared --run runs/first
        python -m training export --run runs/first --data prepared --models models/brain_tumor

    Before the export, `loso` tells how well the recipe does on a source that it never saw, and the card
    keeps the table.

    Every flag is also an environment variable: TRAINING_TRAIN_SEED=7 is --seed 7.
    """,
    config=environment("TRAINING_", lambda: app, command=True),
)
console = Console()
BENCH_DEFAULTS = BenchSettings()


@app.command
def train(settings: TrainSettings) -> None:
    """Fine-tune a backbone; the same command resumes an interrupted run.

    TensorBoard: `tensorboard --logdir RUN/tensorboard`.
    """
    from training.train import train as run

    weights = run(settings, console)
    console.print(f"Trained weights: {weights}\nNext: python -m training export --help")


@app.command
def tune(settings: TuneSettings) -> None:
    """Search over learning rates, weight decay, dropout, frozen layers, lesions and outlines."""
    from training.tune import tune as run

    run(settings, console)


@app.command(name="loso")
def leave_one_source_out(settings: LeaveOneSourceOutSettings) -> None:
    """Leave one source out: train without it and test on it, as on scans from elsewhere."""
    from training.loso import leave_one_source_out as run

    run(settings, console)


@app.command
def audit(settings: AuditSettings) -> None:
    """List scans labelled normal that probably show a tumour, in `label_issues.csv` of the dataset."""
    from training.audit import audit as run

    run(settings, console)


@app.command
def export(settings: ExportSettings) -> None:
    """Calibrate a finished run on the validation split and publish it as the next version."""
    from training.export import export as run

    run(settings, console)


@app.command
def evaluate(settings: EvaluateSettings) -> None:
    """Measure an exported version on any folder of scans, with 95 % intervals."""
    from training.evaluate import evaluate as run

    run(settings, console)


@app.command
def localise(settings: LocaliseSettings) -> None:
    """Check evidence maps against outlined tumours: how often do they point at the tumour?"""
    from training.localise import localise as run

    run(settings, console)


@app.command
def bench(settings: BenchSettings = BENCH_DEFAULTS) -> None:
    """CPU time of an answer beside VGG19's; the input pipeline beside an array in memory."""
    from training.bench import bench as run

    run(settings, console)


def main() -> None:
    """Run a command; what a user can mend is one line, not a stack trace."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        app()
    except (DatasetError, TrainingError, VersionError, ScanError, OSError) as error:
        sys.exit(f"python -m training: {error}")


if __name__ == "__main__":
    main()
