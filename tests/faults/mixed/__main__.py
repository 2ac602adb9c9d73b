"""Mixed load: good clients among bad ones, while versions swap and the model server is killed and stopped.

    python -m tests.faults.mixed --minutes 30

A real page before a real local server on a base path of its own. Good clients ask over HTTP and try again
when told that it may help; an answer is right if its probability is the one that TensorFlow in process
gives for the version that the answer names. A request may end without an answer only if the server was
killed while it waited, and then by an error that says so. A cycle publishes a version, kills the server
(SIGKILL) and starts it again, stops it for a while (SIGSTOP), and rolls back. `--state` remembers the
cycles that passed, so that a run that was ended goes on.
"""

import io
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from cyclopts import App
from PIL import Image
from rich.console import Console

from serving.bench.askers import Probabilities, is_right, telling_scans
from serving.bench.usage import Usage, usage
from serving.client import Client
from serving.errors import ServingError
from serving.release.follow import wait_until_gone, wait_until_served
from serving.release.model_config import DEFAULT_NAME, ConfigFile
from serving.release.publish import publish
from serving.release.rollback import rollback
from serving.release.settings import PublishSettings
from serving.release.store import Store
from serving.versions import list_versions
from tests.conftest import ROOT, free_tcp_port
from tests.faults.damage import Damager
from tests.faults.seeds import form, request
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.pictures import picture

MODEL = "brain_tumor"
#: What may be told to a good client while the server is killed or starts.
TOLD = frozenset({"server_unavailable", "model_not_found", "deadline_exceeded", "model_replaced"})
PATIENCE_S = 300.0
#: Shorter than the deadline of a question: who waits meanwhile loses nothing.
STOPPED_S = 3.0
MEMORY_GROWTH, DESCRIPTORS_GROWTH = 0.10, 8
MB = 2**20
_GOOD, _BAD = 4, 3
_PAUSE_S = 0.1

app = App(help="Mixed load with swaps, kills and bad clients.")


class Server:
    """`python -m serving run` on fixed ports, which can be killed and started again."""

    def __init__(self, base: Path, log: Path) -> None:
        self.grpc = f"127.0.0.1:{free_tcp_port()}"
        self._command = [sys.executable, "-m", "serving", "run", "--model_name", MODEL]
        self._command += ["--model_base_path", str(base), "--file_system_poll_wait_seconds", "0.5"]
        self._command += ["--port", self.grpc.rpartition(":")[2]]
        self._command += ["--rest_api_port", str(free_tcp_port())]
        self._log = log
        #: From a kill until it serves again, by `time.monotonic`.
        self.outages: list[list[float]] = []
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        self.outages.append([time.monotonic(), float("inf")])
        self.process.kill()
        self.process.wait()

    def served(self) -> None:
        if self.outages:
            self.outages[-1][1] = time.monotonic()

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Good:
    """What good clients were told; one object for all of them.

    Attributes:
        answers: right ones.
        told: errors during an outage, by code; the client then asked again.
        faults: lost, wrong, or an error without an outage.
        silent: clients that saw no answer after an outage before the end.
    """

    images: list[bytes]
    expected: tuple[Probabilities, Probabilities]
    older: set[int]
    server: Server
    answers: int = 0
    told: Counter[str] = field(default_factory=Counter)
    versions: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, http: httpx.Client, number: int, many: bool) -> None:
        """One request, judged."""
        begin = time.monotonic()
        numbers = [(number + n) % len(self.images) for n in range(3 if many else 1)]
        files = [("file", (f"{n}.png", self.images[n])) for n in numbers]
        try:
            response = http.post("/api/v1/analyze" if many else "/", files=files)
        except httpx.HTTPError as error:
            self._fault(f"no answer at all: {error!r}")
            return
        during = self._outage(begin, time.monotonic())
        body = response.json()
        if response.status_code == httpx.codes.OK:
            decisions = (
                [one["slices"][0]["decision"] for one in body["results"]] if many else [body]
            )
            self._judge(body["model"]["version"], numbers, decisions)
            return
        code = body["error"]["code"]
        if during and code in TOLD and body["error"]["message"].endswith("."):
            with self.lock:
                self.told[code] += 1
            return
        where = "in" if during else "without"
        self._fault(f"{response.status_code} {code} {where} an outage")

    def _judge(self, version: int, numbers: list[int], decisions: list[dict[str, Any]]) -> None:
        by_version = {version: self.expected[0 if version in self.older else 1]}
        found = [
            is_right((version, n, one["probability"]), by_version)
            for n, one in zip(numbers, decisions, strict=True)
        ]
        if all(found):
            with self.lock:
                self.answers += 1
                self.versions[version] += 1
        else:
            self._fault(f"version {version} gave {decisions} to {numbers}")

    def _outage(self, begin: float, end: float) -> bool:
        return any(begin <= back and end >= killed for killed, back in self.server.outages)

    def _fault(self, what: str) -> None:
        with self.lock:
            self.faults.append(what)


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
    passed = (
        json.loads(state.read_text()) if state and state.exists() else {"seconds": 0.0, "cycles": 0}
    )
    with TemporaryDirectory(prefix="mixed-") as folder:
        base = Path(folder) / "models" / MODEL
        first = _publish(older, base)
        server = Server(base, Path(folder) / "server.log")
        try:
            good = Good([_png(one) for one in images], expected, {first}, server)
            flags = ("--server", server.grpc, "--rate-limit", "0")
            with (
                Client(server.grpc, model=MODEL, timeout_s=30) as client,
                running_front_end(free_tcp_port(), Path(folder) / "ui.log", *flags) as page,
            ):
                _wait_until_served(client, first)
                cycles = _Cycles(base, newer, first, server, client, page, console)
                with _clients(page, good, seed + passed["cycles"]) as bad:
                    cycles.run(60 * minutes - passed["seconds"], passed, state)
                if "Traceback" in page.log.read_text(errors="replace"):
                    text = page.log.read_text(errors="replace")
                    good.faults.append(
                        "the page logged a traceback: " + text[text.index("Traceback") :][:3000]
                    )
        finally:
            server.end()
    return _report(good, bad, cycles, passed, console)


class _Cycles:
    """The operator: publishes, kills, stops, rolls back; reads what the processes use after each."""

    def __init__(
        self,
        base: Path,
        candidate: Path,
        stays: int,
        server: Server,
        client: Client,
        page: FrontEnd,
        console: Console,
    ) -> None:
        self._base, self._candidate, self._stays = base, candidate, stays
        self._server, self._client, self._page, self._console = server, client, page, console
        self.page: list[Usage] = []
        self.server: list[Usage] = []

    def run(self, seconds: float, passed: dict[str, Any], state: Path | None) -> None:
        """Cycles until the time is over, at least one."""
        end = time.monotonic() + seconds
        while True:
            begin = time.monotonic()
            self._cycle()
            passed["cycles"] += 1
            passed["seconds"] += time.monotonic() - begin
            if state:
                state.write_text(json.dumps(passed))
            if time.monotonic() >= end:
                return

    def _cycle(self) -> None:
        version = _publish(self._candidate, self._base)
        wait_until_served(self._client, version, PATIENCE_S)
        time.sleep(2)
        self._server.kill()
        time.sleep(1)
        self._server.start()
        _wait_until_served(self._client, version)
        _wait_until_ready(self._page)
        self._server.served()
        time.sleep(2)
        self._server.process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        self._server.process.send_signal(signal.SIGCONT)
        config = ConfigFile(self._base / DEFAULT_NAME, MODEL, self._base)
        rollback(Store(self._base), config, self._stays, client=None, timeout_s=PATIENCE_S)
        wait_until_served(self._client, self._stays, PATIENCE_S)
        wait_until_gone(self._client, version, PATIENCE_S)
        time.sleep(2)
        self.page.append(usage(self._page.pid))
        self.server.append(usage(self._server.process.pid))
        self._console.print(
            f"version {version} published, killed, stopped, rolled back; "
            f"page {_used(self.page[-1])}, server {_used(self.server[-1])}"
        )


@contextmanager
def _clients(page: FrontEnd, good: Good, seed: int) -> Iterator[Counter[str]]:
    """Good and bad clients for as long as the block lasts; counts what the bad ones did."""
    stop, bad = threading.Event(), Counter[str]()
    work: list[Callable[[], None]] = [
        *(lambda n=n: _be_good(page, good, n, stop) for n in range(_GOOD)),
        *(lambda n=n: _be_bad(page, bad, seed * 1000 + n, stop) for n in range(_BAD)),
    ]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield bad
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _be_good(page: FrontEnd, good: Good, first: int, stop: threading.Event) -> None:
    with httpx.Client(base_url=page.address, timeout=60) as http:
        number = first
        while not stop.wait(_PAUSE_S):
            good.ask(http, number, many=number % 3 == 0)
            number += 1


def _be_bad(page: FrontEnd, bad: Counter[str], seed: int, stop: threading.Event) -> None:
    chance, damager = random.Random(seed), Damager(seed)  # noqa: S311
    address = (page.http.base_url.host, page.http.base_url.port or 80)
    whole = request(form(picture(90)), headers={"Accept": "application/x-ndjson"})
    number = 0
    while not stop.wait(_PAUSE_S):
        number += 1
        kind = chance.choice(("damaged", "damaged", "left", "half", "slow", "event"))
        bad[kind] += 1
        try:
            with socket.create_connection(address, 30) as connection:
                match kind:
                    case "damaged":
                        connection.sendall(damager.upload(number).raw)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    case "left":
                        connection.sendall(whole)
                    case "half":
                        connection.sendall(whole[: chance.randrange(len(whole))])
                    case "slow":
                        for at in range(0, 600, 100):
                            connection.sendall(whole[at : at + 100])
                            if stop.wait(0.2):
                                return
                    case _:
                        connection.sendall(
                            b"GET /gradio_api/queue/data?session_hash=none HTTP/1.1\r\n"
                            b"Host: x\r\nConnection: close\r\n\r\n"
                        )
                        connection.recv(65536)
        except OSError:
            bad[f"{kind}, cut off"] += 1


def _report(
    good: Good, bad: Counter[str], cycles: _Cycles, passed: dict[str, Any], console: Console
) -> int:
    faults = list(good.faults)
    for name, readings in (("page", cycles.page), ("server", cycles.server)):
        first, last = readings[0], readings[-1]
        console.print(f"{name}: {_used(first)} after the first cycle, {_used(last)} at the end")
        if last.resident > first.resident * (1 + MEMORY_GROWTH):
            faults.append(f"memory of the {name} grew")
        if last.descriptors > first.descriptors + DESCRIPTORS_GROWTH:
            faults.append(f"descriptors of the {name} grew")
    console.print(
        f"{passed['seconds'] / 60:.1f} minutes, {passed['cycles']} cycles; in this run {good.answers} good "
        f"requests answered by {len(good.versions)} versions, {sum(good.told.values())} told of an outage "
        f"{dict(good.told)}; bad clients {dict(bad)}; {len(faults)} faults"
    )
    for what, count in Counter(faults).most_common(20):
        console.print(f"{count} x {what}")
    return 1 if faults else 0


def _publish(candidate: Path, base: Path) -> int:
    limits = PublishSettings()
    done = publish(
        candidate,
        base,
        max_megabytes=limits.max_megabytes,
        verify_timeout_s=limits.verify_timeout_s,
    )
    return done.version


def _wait_until_served(client: Client, version: int) -> None:
    """Of a server that may not listen yet."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            wait_until_served(client, version, PATIENCE_S)
            return
        except ServingError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _wait_until_ready(page: FrontEnd) -> None:
    """The page finds its way back by itself; how soon is up to gRPC."""
    end = time.monotonic() + PATIENCE_S
    while page.http.get("/readyz").status_code != httpx.codes.OK:
        if time.monotonic() > end:
            raise ServingError("The page does not find the server again.")
        time.sleep(0.2)


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _used(now: Usage) -> str:
    return f"{now.resident / MB:.0f} MB, {now.descriptors} descriptors"


if __name__ == "__main__":
    sys.exit(app())
