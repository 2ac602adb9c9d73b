"""Fuzz the parsers: `python -m tests.fuzz [TARGET…] --runs N`; `make fuzz` runs them all.

Work is done in chunks, and what each has done is kept under `runs/fuzz`, so that an interrupted run goes
on where it was; code that has changed is counted anew, from the inputs found so far. What makes a target
fail is left in `runs/fuzz/TARGET-found`; once mended it belongs to `tests/fuzz/cases`, which the tests
replay.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from tests.fuzz.seeds import MAX_BYTES, ROOT, seeds_of
from tests.fuzz.targets import TARGETS

FOLDER: Final = ROOT / "runs" / "fuzz"
CASES: Final = Path(__file__).parent / "cases"
#: Executions of one process: as much as is lost if it is killed.
_CHUNK: Final = 50_000
#: For the files that targets write, where a system has it: a disk would take most of an execution.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108
#: Packages with parsers, and ours.
_FUZZED: Final = ("data", "serving", "ui", "tests/fuzz")
_DONE: Final = re.compile(r"stat::number_of_executed_units:\s+(\d+)")

app = App(help=__doc__)


@dataclass
class Figures:
    """What was done to a target, over all runs of one state of the code."""

    code: str
    executions: int = 0
    seconds: float = 0.0
    found: int = 0


@app.default
def fuzz(
    *targets: str,
    runs: int = 100_000,
    input_seconds: int = 10,
    memory_mb: int = 4096,
    folder: Annotated[Path, Parameter(help="corpora, findings and figures")] = FOLDER,
) -> int:
    """Run targets until each has been executed so often, counting earlier runs of the same code.

    Args:
        targets: which ones; all by default.
        runs: executions of each.
        input_seconds: an input that takes longer is a finding.
        memory_mb: so is one that takes more memory, all of TensorFlow included.

    Returns:
        1 if anything was found.
    """
    if unknown := set(targets) - TARGETS.keys():
        print(f"No such target: {', '.join(sorted(unknown))}. Known are {', '.join(TARGETS)}.")
        return 2
    limits = [f"-timeout={input_seconds}", f"-rss_limit_mb={memory_mb}", f"-max_len={MAX_BYTES}"]
    table = Table("target", "executions", "seconds", "executions/s", "found")
    failed = False
    for target in targets or TARGETS:
        done = _fuzz(target, runs, limits, folder)
        failed |= done.found > 0
        rate = done.executions / done.seconds if done.seconds else 0
        table.add_row(
            target, f"{done.executions:,}", f"{done.seconds:,.0f}", f"{rate:,.0f}", str(done.found)
        )
    Console().print(table)
    return int(failed)


def _fuzz(target: str, runs: int, limits: list[str], folder: Path) -> Figures:
    corpus, seeds, found = (folder / f"{target}{end}" for end in ("", "-seeds", "-found"))
    for one in (corpus, seeds, found):
        one.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds_of(target)):
        (seeds / str(number)).write_bytes(seed)
    record = folder / f"{target}.json"
    done = Figures(_code())
    before = json.loads(record.read_text()) if record.exists() else {}
    if before.get("code") == done.code:
        done = Figures(**before | {"found": 0})
    inputs = [corpus, seeds, *(one for one in [CASES / target] if one.is_dir())]
    while done.executions < runs:
        command = [sys.executable, "-m", "tests.fuzz.chunk", target, *map(str, inputs), *limits]
        command += [f"-runs={min(_CHUNK, runs - done.executions)}", "-print_final_stats=1"]
        command += [f"-artifact_prefix={found}/"]
        begun = time.monotonic()
        chunk = _run(command)
        done.seconds += time.monotonic() - begun
        executed = _DONE.search(chunk.stderr)
        done.executions += int(executed[1]) if executed else 0
        if chunk.returncode != 0 or executed is None:
            done.found += 1
            log = folder / f"{target}.log"
            log.write_text(chunk.stdout + chunk.stderr)
            print(f"{target}: see {log}", flush=True)
        record.write_text(json.dumps(asdict(done)))
        print(f"{target}: {done.executions:,} of {runs:,}", flush=True)
        if done.found:
            break
    return done


@cache
def _code() -> str:
    """Digest of what is fuzzed, and of how."""
    digest = hashlib.sha256()
    for package in _FUZZED:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a chunk; its temporary files are ours to remove, since libFuzzer ends it on the spot."""
    memory = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz", dir=memory) as folder:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"TMPDIR": folder},
            capture_output=True,
            text=True,
            errors="replace",
        )


if __name__ == "__main__":
    app()
