"""`python -m serving …`: the local server, the command-line client, versions, the benchmark."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Before anything imports TensorFlow: its C++ start-up notes are of no use to a user.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cyclopts
import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from data.imaging import ScanError, prepare_scan, read_scan
from data.settings_env import environment
from serving.client import Client, Prediction
from serving.dialogue import MAX_IMAGES
from serving.errors import ServingError
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
def predict(*images: Path, settings: PredictSettings = PREDICT_DEFAULTS) -> int:
    """Classify scans (PNG, JPEG, WebP). A bad file costs only its own answer, and exit code 1."""
    if not images:
        raise ServingError("Name at least one image file.")
    rows: list[dict[str, object]] = []
    with Client(
        settings.server,
        model=settings.model,
        timeout_s=settings.timeout_s,
        ca_certificate=settings.ca_certificate,
    ) as client:
        for begin in range(0, len(images), MAX_IMAGES):
            rows += _classified(client, images[begin : begin + MAX_IMAGES], settings)
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


def _classified(
    client: Client, paths: Sequence[Path], settings: PredictSettings
) -> list[dict[str, object]]:
    """A row for each file, in order; those that are scans go to the server together."""
    rows: list[dict[str, object]] = []
    scans: dict[int, NDArray[np.uint8]] = {}  # by number of row
    for path in paths:
        try:
            scans[len(rows)] = prepare_scan(read_scan(path))
            rows.append({"file": str(path)})
        except (ScanError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            rows.append({"file": str(path), "error": reason})
    if scans:
        answer = client.predict(
            np.stack(list(scans.values())),
            version=settings.version,
            version_label=settings.version_label,
        )
        for i, one in zip(scans, answer.predictions, strict=True):
            rows[i] |= _fields(one) | {"version": answer.version}
    return rows


def _fields(one: Prediction) -> dict[str, object]:
    return {
        "label": str(one.label),
        "probability": one.probability,
        "confidence": one.confidence,
        "risk": str(one.risk),
        "in_distribution": one.in_distribution,
        "ood_score": one.ood_score,
    }


def _print_table(rows: list[dict[str, object]]) -> None:
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
        if "error" in row:
            table.add_row(escape(str(row["file"])), f"[red]{escape(str(row['error']))}")
            continue
        table.add_row(
            escape(str(row["file"])),
            str(row["label"]),
            f"{row['probability']:.3f}",
            str(row["risk"]),
            "yes" if row["in_distribution"] else "[red]no: do not rely on it",
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
