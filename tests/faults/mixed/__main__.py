"""Mixed load: good clients among bad ones, while versions swap and the model server is killed and stopped.

    python -m tests.faults.mixed --minutes 30 --state mixed.json

A real page before a real local server on a base path of its own. An answer is right if its probability is
the one that TensorFlow in process gives for the version that the answer names. A cycle publishes a version,
kills the server (SIGKILL) and starts it again, stops it for a while (SIGSTOP), and rolls back.

The verdict: a good request gets its right answer, or, from a kill until the server is back, an error that
says so, and then asks again until it is answered; and in the second half of a run what lives in the page,
its memory and its descriptors stay flat. With `--state` a run that was ended goes on after its last whole
cycle, with new processes, and counts go on.
"""

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from cyclopts import App
from rich.console import Console

from serving.bench.askers import telling_scans
from serving.client import Client
from serving.release.publish import publish
from serving.versions import list_versions
from tests.conftest import ROOT, free_tcp_port
from tests.faults.growth import Watched
from tests.faults.mixed.clients import Clients, Good, as_png
from tests.faults.mixed.cycles import MODEL, Operator, Server, wait_until_up
from tests.ui.front_end import FrontEnd, running_front_end

app = App(help="Mixed load with swaps, kills and bad clients.")


@dataclass
class Passed:
    """What passed in earlier runs and in this one, to its last whole cycle.

    Attributes:
        seconds: of whole cycles.
        cycles: how many.
        runs: begun on this state; each has its own processes.
        answered: good requests answered right.
        refused: good requests told of an outage, by code.
        bad: what bad clients did, by kind.
        faults: in words, counted.
    """

    seconds: float = 0.0
    cycles: int = 0
    runs: int = 0
    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, state: Path | None) -> "Passed":
        """From a file, if it is there."""
        if state is None or not state.exists():
            return cls()
        found = json.loads(state.read_text())
        counts = {name: Counter(found[name]) for name in ("refused", "bad", "faults")}
        return cls(**found | counts)

    def plus(self, seconds: float, cycles: int, good: Good, bad: Counter[str]) -> "Passed":
        """With what a run added."""
        return Passed(
            self.seconds + seconds,
            self.cycles + cycles,
            self.runs,
            self.answered + good.answered,
            self.refused + good.refused,
            self.bad + bad,
            self.faults + Counter(good.faults),
        )

    def write(self, state: Path) -> None:
        """To a file, whole or not at all."""
        spare = state.with_suffix(".new")
        spare.write_text(json.dumps(vars(self)))
        spare.replace(state)


@app.default
def main(
    *,
    minutes: float = 30,
    models: Path = ROOT / "models" / MODEL,
    state: Path | None = None,
    seed: int = 1,
) -> int:
    """Run it; 1 if anything fell.

    Args:
        minutes: how long, beside starting and the last cycle.
        models: base path of two versions that answer differently.
        state: a JSON file with what passed until now, to go on from.
        seed: of the bad clients.
    """
    console = Console(markup=False, highlight=False, soft_wrap=True)
    older, newer = (models / str(version) for version in list_versions(models)[-2:])
    images, expected = telling_scans(ROOT / "data" / "samples", older, newer)
    passed = Passed.read(state)
    passed.runs += 1
    with TemporaryDirectory(prefix="mixed-") as folder:
        base, alive = Path(folder) / "models" / MODEL, Path(folder) / "alive.json"
        first = publish(older, base).version
        server = Server(base, Path(folder) / "server.log")
        good = Good([as_png(one) for one in images], expected, first, server.was_out)
        try:
            with (
                Client(server.grpc, model=MODEL, timeout_s=30) as client,
                running_front_end(
                    free_tcp_port(),
                    Path(folder) / "ui.log",
                    *("--server", server.grpc, "--rate-limit", "0"),
                    program=("tests.faults.alive", str(alive)),
                ) as page,
            ):
                wait_until_up(client, first)
                operator = Operator(
                    base,
                    newer,
                    stays=first,
                    server=server,
                    client=client,
                    page=page,
                    watched=Watched(page, alive),
                )
                clients = Clients(page, good, seed + passed.cycles)
                with clients.running():
                    passed = _go_on(passed, 60 * minutes, operator, clients, good, state, console)
                passed.faults.update(_traceback(page))
        finally:
            server.end()
    passed.faults.update(operator.grown())
    if state:
        passed.write(state)
    return _report(passed, operator, console)


def _go_on(
    passed: Passed,
    seconds: float,
    operator: Operator,
    clients: Clients,
    good: Good,
    state: Path | None,
    console: Console,
) -> Passed:
    """Cycles until the time is over, those of earlier runs counted; at least one."""
    begin, cycles = time.monotonic(), 0
    while True:
        operator.cycle(clients, console.print)
        cycles += 1
        now = passed.plus(time.monotonic() - begin, cycles, good, clients.bad)
        if state:
            now.write(state)
        console.print(
            f"{now.seconds / 60:.1f} minutes, {now.cycles} cycles: {now.answered} answered, "
            f"{now.refused.total()} told of an outage, {now.faults.total()} faults"
        )
        if now.seconds >= seconds:
            return now


def _traceback(page: FrontEnd) -> list[str]:
    text = page.log.read_text(errors="replace")
    return (
        [f"the page logged {text[text.index('Traceback') :][:3000]}"] if "Traceback" in text else []
    )


def _report(passed: Passed, operator: Operator, console: Console) -> int:
    """The figures as a table for a README, and the verdict."""
    bad = ", ".join(f"{count:,} {kind}" for kind, count in sorted(passed.bad.items()))
    told = ", ".join(f"{count:,} {code}" for code, count in sorted(passed.refused.items()))
    rows = {
        "length": f"{passed.seconds / 60:.0f} minutes in {passed.runs} runs",
        "cycles": f"{passed.cycles}, each a publish, a kill, a stop and a rollback",
        "good requests answered right": f"{passed.answered:,}",
        "told of an outage, and answered when asked again": told or "none",
        "bad clients": bad,
        **operator.summary(),
        "faults": str(passed.faults.total()),
    }
    console.print("\n| what | figure |\n| --- | --- |")
    for what, figure in rows.items():
        console.print(f"| {what} | {figure} |")
    for what, count in passed.faults.most_common(20):
        console.print(f"{count} x {what}")
    return 1 if passed.faults else 0


if __name__ == "__main__":
    sys.exit(app())
