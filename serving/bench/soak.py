"""A soak: versions are published and rolled back under load, and every answer is judged.

Two versions that answer differently take turns on a base path of their own: the older one stays, the
newer one is published and rolled back again and again. An answer is right if its probability is the one
that TensorFlow in process gives for the version which the answer names. So an answer that a mix of two
versions computed, or that names the wrong one, is found.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console

from serving.bench.askers import Askers, Told, is_right, telling_scans
from serving.bench.figures import percentiles_ms
from serving.bench.load import MAX_REQUESTS, Load, evenly, paced, saturate
from serving.bench.processes import ModelServer, local_server, tuned_batching
from serving.bench.report import MEGABYTE, markdown
from serving.bench.usage import Usage, usage
from serving.client import Client
from serving.errors import ServingError
from serving.release.follow import wait_until_gone, wait_until_served
from serving.release.model_config import DEFAULT_NAME, ConfigFile
from serving.release.publish import publish
from serving.release.rollback import rollback
from serving.release.store import Store
from serving.settings import SoakSettings
from serving.versions import list_versions

_CLIENTS: Final = 32
_SATURATION_S: Final = 5.0
#: For one swap; verifying a candidate under load takes a while.
_PATIENCE_S: Final = 300.0
_LOOK_S: Final = 0.1
#: What may be more in the second half than in the first. The highest of each: how much of a version that
#: went is given back at once depends on the allocator, a quarter of all memory up or down.
MEMORY_GROWTH: Final = 0.10
DESCRIPTORS_GROWTH: Final = 4


@dataclass(frozen=True)
class Soaked:
    """What a soak found.

    Attributes:
        seconds: how long the load lasted.
        rate: requests a second that were due.
        answers: how many there were.
        failures: what was said instead, one for each request that failed.
        wrong: answers that are not those of the version they name.
        swaps: versions published, served and rolled back.
        silent: published versions that no answer names.
        percentiles_ms: 50, 95 and 99 of 100 answers came within these, from when they were due.
        readings: of the server, after each swap and at the end.
    """

    seconds: float
    rate: float
    answers: int
    failures: tuple[str, ...]
    wrong: tuple[Told, ...]
    swaps: int
    silent: tuple[int, ...]
    percentiles_ms: tuple[float, float, float]
    readings: tuple[Usage, ...] = field(repr=False)

    def promises(self) -> list[tuple[str, str, bool]]:
        """What was promised, what was found, and whether that is kept."""
        half = max(1, len(self.readings) // 2)
        first, last = self.readings[:half], self.readings[half:]
        memory = [max(one.resident for one in part) for part in (first, last)]
        descriptors = [max(one.descriptors for one in part) for part in (first, last)]
        return [
            (
                "no request fails",
                f"{len(self.failures)} of {self.answers} failed",
                not self.failures,
            ),
            ("every answer is its version's", f"{len(self.wrong)} are not", not self.wrong),
            (
                "every version answers",
                f"{self.swaps} swaps and rollbacks, {len(self.silent)} silent",
                not self.silent,
            ),
            (
                "memory is flat",
                f"at most {memory[0] / MEGABYTE:.0f} MB in the first half, "
                f"{memory[1] / MEGABYTE:.0f} MB in the second",
                memory[1] <= memory[0] * (1 + MEMORY_GROWTH),
            ),
            (
                "descriptors are flat",
                f"at most {descriptors[0]} in the first half, {descriptors[1]} in the second",
                descriptors[1] <= descriptors[0] + DESCRIPTORS_GROWTH,
            ),
        ]


def soak(settings: SoakSettings, console: Console) -> bool:
    """Run, write `soak.json`, print a table; true if every promise is kept.

    Raises:
        ServingError: there are no two versions to tell apart, or a swap does not come about.
    """
    candidates = [
        settings.model_base_path / str(v) for v in list_versions(settings.model_base_path)
    ]
    if len(candidates) < 2:
        raise ServingError(f"{settings.model_base_path} holds no two versions to swap between.")
    older, newer = candidates[-2:]
    images, expected = telling_scans(settings.samples, older, newer)
    batching = settings.batching_parameters_file or tuned_batching()
    with TemporaryDirectory(prefix="soak-") as folder, ExitStack() as stack:
        base = Path(folder) / settings.model
        console.print(f"Publishing {older}, then {newer} again and again; {batching.name}")
        first = publish(older, base).version
        server = local_server(
            stack,
            base,
            model=settings.model,
            batching=batching,
            flags=("--file_system_poll_wait_seconds", "0.5"),
        )
        server.wait_ready()
        operator = _Operator(base, newer, first, server, settings.model, console)
        askers = Askers(server, settings.model, images)
        capacity = saturate(askers.connect, _CLIENTS, min(_SATURATION_S, 60 * settings.minutes))
        limit_s = 120 * settings.minutes + _PATIENCE_S * settings.swaps
        rate = min(settings.load * capacity.rate, MAX_REQUESTS / limit_s)
        console.print(f"{capacity.rate:.0f} answers/s saturated, {rate:.0f} from now on")
        with _under_load(askers, rate, limit_s) as load:
            operator.run(settings.swaps, 60 * settings.minutes)
        done = load.result()
    by_version = dict.fromkeys(operator.published, expected[1]) | {first: expected[0]}
    told = askers.told()
    found = Soaked(
        seconds=done.seconds,
        rate=rate,
        answers=len(done.latencies),
        failures=capacity.failures + done.failures,
        wrong=tuple(one for one in told.elements() if not is_right(one, by_version)),
        swaps=len(operator.published),
        silent=tuple(v for v in by_version if v not in {version for version, _, _ in told}),
        percentiles_ms=percentiles_ms(done.latencies),
        readings=tuple(operator.readings),
    )
    _write(found, settings.out, console)
    return all(kept for _, _, kept in found.promises())


class _Operator:
    """Publishes, waits until it is served, rolls back, waits again; reads the server's use after each."""

    def __init__(
        self,
        base: Path,
        candidate: Path,
        stays: int,
        server: ModelServer,
        model: str,
        console: Console,
    ) -> None:
        self._base, self._candidate, self._stays, self._server = base, candidate, stays, server
        self._model, self._console = model, console
        self.published: list[int] = []
        self.readings: list[Usage] = []

    def run(self, swaps: int, seconds: float) -> None:
        """Spread the swaps over the time; a version serves for half of its share, if it comes in time."""
        begin, share = time.monotonic(), seconds / swaps
        with Client(self._server.grpc, model=self._model, timeout_s=30) as client:
            for number in range(swaps):
                self._swap(client, begin + (number + 0.75) * share)
                _sleep_until(begin + (number + 1) * share)
        self.readings.append(usage(self._server.pid))

    def _swap(self, client: Client, until: float) -> None:
        version = publish(self._candidate, self._base).version
        self.published.append(version)
        wait_until_served(client, version, _PATIENCE_S)
        _sleep_until(max(until, time.monotonic() + _LOOK_S))
        config = ConfigFile(self._base / DEFAULT_NAME, self._model, self._base)
        rollback(Store(self._base), config, self._stays, client=None, timeout_s=_PATIENCE_S)
        wait_until_served(client, self._stays, _PATIENCE_S)
        wait_until_gone(client, version, _PATIENCE_S)
        now = usage(self._server.pid)
        self.readings.append(now)
        self._console.print(
            f"Version {version} published, served, rolled back: "
            f"{now.resident / MEGABYTE:.0f} MB, {now.descriptors} descriptors"
        )


@contextmanager
def _under_load(askers: Askers, rate: float, limit_s: float) -> Iterator[Future[Load]]:
    """A paced load for as long as the block lasts, at most to a limit."""
    stop = threading.Event()
    with ThreadPoolExecutor(1, "soak") as pool:
        try:
            yield pool.submit(paced, askers.connect, _CLIENTS, evenly(rate, limit_s), stop)
        finally:
            stop.set()


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _write(found: Soaked, folder: Path, console: Console) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = asdict(found) | {
        # Counted: there may be very many, all alike.
        "failures": Counter(found.failures),
        "wrong": [[*one, count] for one, count in Counter(found.wrong).items()],
        "promises": [
            {"promise": what, "found": text, "kept": kept} for what, text, kept in found.promises()
        ],
    }
    (folder / "soak.json").write_text(json.dumps(document, indent=2) + "\n")
    p50, p95, p99 = found.percentiles_ms
    rows = ((what, text, "yes" if kept else "NO") for what, text, kept in found.promises())
    text = (
        f"{found.answers} answers in {found.seconds:.0f} s at {found.rate:.1f} requests/s; "
        f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms from when they were due.\n\n"
        + markdown(("promise", "found", "kept"), rows)
    )
    (folder / "soak.md").write_text(text + "\n")
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written: {folder}/soak.json, soak.md", highlight=False)
