"""`python -m serving …`: the local server, the command-line client, versions, the benchmark."""

import json
import logging
import os
import sys
from pathlib import Path

# Before anything imports TensorFlow: its C++ start-up notes are of no use to a user.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cyclopts
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from data.settings_env import environment
from serving.client import Client
from serving.errors import ServingError
from serving.predict import Row, classify
from serving.release import commands as release
from serving.settings import BenchSettings, PredictSettings, RunSettings, SoakSettings

app: cyclopts.App = cyclopts.App(
    name="python -m serving",
    help="""Serve a model without Docker, ask a server, look after versions.

    In one terminal, then in another:

        python -m serving run --model-base-path models/brain_tumor
        python -m serving predict data/samples/yes/*

    The server speaks TensorFlow Serving's API, gRPC on 8500 and REST on 8501, so any of its clients
    works. Every flag is also an environment variable: SERVING_PORT=9000 is --port 9000.
    """,
    config=environment("SERVING_", lambda: app),
)
for _command in (
    release.publish,
    release.versions,
    release.verify,
    release.label,
    release.rollback,
    release.restore,
    release.prune,
):
    app.command(_command, group="Versions")
console = Console()
RUN_DEFAULTS = RunSettings()
PREDICT_DEFAULTS = PredictSettings()
BENCH_DEFAULTS = BenchSettings()
SOAK_DEFAULTS = SoakSettings()


@app.command
def run(settings: RunSettings = RUN_DEFAULTS) -> None:
    """Serve the newest version under a base path; swaps when a newer one appears."""
    from serving.local.server import run as serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("absl").setLevel(logging.WARNING)
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    serve(settings)


@app.command
def predict(*files: Path, settings: PredictSettings = PREDICT_DEFAULTS) -> int:
    """Classify scans: PNG, JPEG, WebP, DICOM, NIfTI, or ZIP archives of these.

    Files of one DICOM series are one volume. A volume is answered slice by slice; the table shows the
    slice of the highest risk, `--json` all. A bad file costs only its own answer, and exit code 1.
    """
    if not files:
        raise ServingError("Name at least one file.")
    with Client(
        settings.server,
        model=settings.model,
        timeout_s=settings.timeout_s,
        ca_certificate=settings.ca_certificate,
    ) as client:
        rows = classify(client, files, settings)
    if settings.json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(rows)
    return int(any("error" in row for row in rows))


@app.command
def bench(settings: BenchSettings = BENCH_DEFAULTS) -> None:
    """Compare TensorFlow in process, gRPC, REST, the page and the original's way, in one run."""
    from serving.bench.run import bench as measure

    measure(settings, console)


@app.command
def soak(settings: SoakSettings = SOAK_DEFAULTS) -> int:
    """Publish and roll back under load, and judge every answer; exit code 1 if a promise is broken."""
    from serving.bench.soak import soak as endure

    return int(not endure(settings, console))


def _print_table(rows: list[Row]) -> None:
    table = Table(
        Column("file", overflow="fold"),
        "label",
        "P(tumour)",
        "risk",
        "in distribution",
        "version",
        box=SIMPLE_HEAD,
    )
    for row in rows:
        name = escape(": ".join(str(row[key]) for key in ("file", "member") if key in row))
        if "error" in row:
            table.add_row(name, f"[red]{escape(str(row['error']))}")
            continue
        shown = row
        if "slices" in row:
            shown = row["slices"][row["highest"] - 1]
            name += f", slice {row['highest']} of {len(row['slices'])}, the highest"
            name += "".join(f"\n{note}" for note in row["notes"])
        table.add_row(
            name,
            str(shown["label"]),
            f"{shown['probability']:.3f}",
            str(shown["risk"]),
            "yes" if shown["in_distribution"] else "[red]no: do not rely on it",
            str(row["version"]),
        )
    console.print(table)


def main() -> int:
    """Run a command; what a user can mend is one line, not a stack trace."""
    try:
        return app() or 0
    except (ServingError, ValueError) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    print(f"python -m serving: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
