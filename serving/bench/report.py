"""What the benchmark found: as tables to be pasted into a README, as JSON, as a picture."""

import datetime
import json
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
from rich.console import Console

from serving.bench.bfloat16 import TOLERANCE, Accuracy
from serving.bench.figures import Cell, Figures, Measured, Ratio, ratios
from serving.bench.plot import draw

#: Of DESIGN section 6: p99 is at most so many times p50.
TAIL_TARGET: Final = 3.0
MEGABYTE: Final = 10**6


@dataclass(frozen=True)
class Tail:
    """Latencies of a paced load: 50th, 95th and 99th percentile in milliseconds."""

    batching: bool
    arrivals: str
    rate: float
    answers: int
    percentiles_ms: tuple[float, float, float]
    failed: int

    @property
    def ratio(self) -> float:
        """p99 by p50."""
        p50, _, p99 = self.percentiles_ms
        return p99 / p50


@dataclass(frozen=True)
class Memory:
    """Resident memory of a program after all loads, in bytes."""

    program: str
    resident: int


@dataclass(frozen=True)
class Report:
    """Everything that one run found."""

    model: str
    batching: str
    clients: tuple[int, int, int]
    measured: Measured
    tails: list[Tail]
    memory: list[Memory]
    bfloat16: Accuracy

    @property
    def rounds(self) -> int:
        """Turns of each cell."""
        return len(next(iter(self.measured.values())).rates)

    def ratios(self) -> list[Ratio]:
        """See `figures.ratios`."""
        return ratios(self.measured, self.clients)


def write(report: Report, folder: Path, console: Console) -> None:
    """Write `bench.json`, `bench.md` and `bench.png` into a folder, which is made; print the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(as_json(report), indent=2) + "\n")
    text = as_markdown(report)
    (folder / "bench.md").write_text(text)
    draw(report.measured, report.ratios(), report.clients, folder / "bench.png")
    # Unwrapped, or the tables could not be pasted.
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written: {folder}/bench.json, bench.md, bench.png", highlight=False)


def as_json(report: Report) -> dict[str, Any]:
    """All figures; latencies as percentiles."""
    return {
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "model": report.model,
        "batching_parameters": report.batching,
        "rounds": report.rounds,
        "cells": [_cell_json(cell, one) for cell, one in report.measured.items()],
        "ratios": [asdict(one) | {"median": one.median} for one in report.ratios()],
        "tails": [asdict(one) | {"ratio": one.ratio} for one in report.tails],
        "memory": [asdict(one) for one in report.memory],
        "bfloat16": asdict(report.bfloat16) | {"passed": report.bfloat16.passed},
    }


def as_markdown(report: Report) -> str:
    """Tables of rates, ratios, tails and memory, and a sentence on bfloat16."""
    machine, found = _machine(), report.bfloat16
    changed = ", ".join(f"{name} {count}" for name, count in found.changed.items())
    verdict = "passes" if found.passed else "does not pass"
    parts = [
        f"`{report.model}` on {machine['cores']} cores ({machine['processor']}), "
        f"`{report.batching}`; medians of {report.rounds} rounds, lowest to highest in brackets.",
        markdown(("ratio", "median", "target", "reached"), map(_ratio_row, report.ratios())),
        markdown(
            (
                "way",
                "batching",
                "images a request",
                "clients",
                "images/s",
                "p50 ms",
                "p95 ms",
                "p99 ms",
                "CPU ms an image",
                "failed",
            ),
            (_cell_row(cell, one) for cell, one in report.measured.items()),
        ),
        markdown(
            (
                "gRPC at 70 % of saturation",
                "requests/s",
                "answers",
                "p50 ms",
                "p95 ms",
                "p99 ms",
                "p99 : p50",
                "target",
                "reached",
                "failed",
            ),
            map(_tail_row, report.tails),
        ),
        markdown(
            ("program", "resident MB"),
            ((one.program, f"{one.resident / MEGABYTE:.0f}") for one in report.memory),
        ),
        f"bfloat16 on {found.scans} samples: P(tumour) differs by at most "
        f"{found.largest_difference:.4f} (allowed: {TOLERANCE:g}), decisions changed: {changed}. "
        f"It {verdict} the accuracy gate, and is no default.",
    ]
    return "\n\n".join(parts) + "\n"


def markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table as text."""
    head, *body = ("| " + " | ".join(row) + " |" for row in (header, *rows))
    return "\n".join([head, "|" + "---|" * len(header), *body])


def _ratio_row(ratio: Ratio) -> tuple[str, ...]:
    spread = f"{ratio.median:.2f} ({min(ratio.values):.2f} to {max(ratio.values):.2f})"
    if ratio.target is None:
        return ratio.what, spread, "", ""
    return ratio.what, spread, f"≥ {ratio.target:.2f}", _yes(ratio.median >= ratio.target)


def _cell_row(cell: Cell, figures: Figures) -> tuple[str, ...]:
    kind, rates = cell.kind, figures.rates
    p50, p95, p99 = figures.percentiles_ms()
    cpu_ms = _cpu_ms(cell, figures)
    return (
        kind.name,
        "on" if kind.batching else "off",
        str(kind.images),
        str(cell.clients),
        f"{statistics.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})",
        f"{p50:.1f}",
        f"{p95:.1f}",
        f"{p99:.1f}",
        "–" if cpu_ms is None else f"{cpu_ms:.1f}",
        str(len(figures.failures)),
    )


def _tail_row(tail: Tail) -> tuple[str, ...]:
    return (
        f"batching {'on' if tail.batching else 'off'}, {tail.arrivals}",
        f"{tail.rate:.1f}",
        str(tail.answers),
        *(f"{one:.1f}" for one in tail.percentiles_ms),
        f"{tail.ratio:.2f}",
        f"≤ {TAIL_TARGET:g}",
        _yes(tail.ratio <= TAIL_TARGET),
        str(tail.failed),
    )


def _cell_json(cell: Cell, figures: Figures) -> dict[str, Any]:
    p50, p95, p99 = figures.percentiles_ms()
    return {
        **cell.kind._asdict(),
        "clients": cell.clients,
        "images_per_s": figures.rates,
        "answers": len(figures.latencies),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "cpu_ms_per_image": _cpu_ms(cell, figures),
        "failed": len(figures.failures),
        "first_failure": figures.failures[0] if figures.failures else None,
    }


def _cpu_ms(cell: Cell, figures: Figures) -> float | None:
    """None for processes that cannot be seen."""
    images = len(figures.latencies) * cell.kind.images
    return 1000 * figures.cpu_s / images if images and figures.cpu_s else None


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = {word for line in lines if line.startswith("flags") for word in line.split()}
    return {
        "cores": os.cpu_count(),
        "processor": names[0] if names else platform.machine(),
        "bfloat16": sorted(flags & {"avx512_bf16", "amx_bf16"}),
        "tensorflow": tf.__version__,
    }


def _yes(reached: bool) -> str:
    return "yes" if reached else "no"
