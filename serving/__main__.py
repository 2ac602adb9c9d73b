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

from data.imaging import ScanError, prepare_scan, read_scan
from serving.client import Answer, Client
from serving.errors import ServingError
from serving.settings import BenchSettings, PredictSettings, RunSettings
from serving.versions import list_versions

app = cyclopts.App(
    name="python -m serving",
    help="""Serve a model without Docker, ask a server, look after versions.

    In one terminal, then in another:

        python -m serving run --model-base-path models/brain_tumor
        python -m serving predict data/samples/yes/*

    The server speaks TensorFlow Serving's API, gRPC on 8500 and REST on 8501, so any of its clients
    works. Every flag is also an environment variable: SERVING_PORT=9000 is --port 9000.
    """,
    config=cyclopts.config.Env("SERVING_", command=False),
)
console = Console()
RUN_DEFAULTS = RunSettings()
PREDICT_DEFAULTS = PredictSettings()
BENCH_DEFAULTS = BenchSettings()


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
    with Client(settings.server, model=settings.model, timeout_s=settings.timeout_s) as client:
        for path in images:
            try:
                pixels = prepare_scan(read_scan(path))
            except (ScanError, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                rows.append({"file": str(path), "error": reason})
                continue
            answer = client.predict(pixels[None], version=settings.version)
            rows.append({"file": str(path), **_fields(answer)})
    if settings.json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(rows)
    return int(any("error" in row for row in rows))


@app.command
def versions(base: Path) -> None:
    """List the servable versions under a base path, one a line, oldest first."""
    for version in list_versions(base):
        print(version)


@app.command
def bench(settings: BenchSettings = BENCH_DEFAULTS) -> None:
    """Compare TensorFlow in process, gRPC and REST, side by side in one run."""
    from serving.bench import bench as measure

    measure(settings, console)


def _fields(answer: Answer) -> dict[str, object]:
    (one,) = answer.predictions
    return {
        "label": str(one.label),
        "probability": one.probability,
        "confidence": one.confidence,
        "risk": str(one.risk),
        "in_distribution": one.in_distribution,
        "ood_score": one.ood_score,
        "version": answer.version,
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
        print(f"python -m serving: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
