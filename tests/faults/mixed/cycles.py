"""The operator of a mixed load: publishes, kills, stops and rolls back, and reads what is used meanwhile."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from serving.bench.usage import Usage, usage
from serving.client import Client
from serving.errors import ServingError
from serving.release.follow import wait_until_gone, wait_until_served
from serving.release.model_config import DEFAULT_NAME, ConfigFile
from serving.release.publish import publish
from serving.release.rollback import rollback
from serving.release.store import Store
from tests.conftest import ROOT, end, eventually, free_tcp_port
from tests.faults.growth import MB, RESIDENT, Reading, Watched, livelier, swollen
from tests.faults.mixed.clients import Clients
from tests.ui.front_end import FrontEnd

MODEL = "brain_tumor"
PATIENCE_S = 300.0
#: Shorter than the deadline of a question: who waits meanwhile loses nothing.
STOPPED_S = 3.0
#: Load in peace before something happens, and seconds without a server.
_PEACE_S, _DEAD_S = 2.0, 1.0


class Server:
    """`python -m serving run` on fixed ports, which can be killed and started again."""

    def __init__(self, base: Path, log: Path) -> None:
        self.grpc = f"127.0.0.1:{free_tcp_port()}"
        self._command = [sys.executable, "-m", "serving", "run", "--model_name", MODEL]
        self._command += ["--model_base_path", str(base), "--file_system_poll_wait_seconds", "0.5"]
        self._command += ["--port", self.grpc.rpartition(":")[2]]
        self._command += ["--rest_api_port", str(free_tcp_port())]
        self._log = log
        #: From a kill until the page finds it again, by `time.monotonic`.
        self.outages: list[list[float]] = []
        self.start()

    def start(self) -> None:
        """Start it; it may take a while until it serves."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL; an outage begins."""
        self.outages.append([time.monotonic(), float("inf")])
        self.process.kill()
        self.process.wait()

    def found_again(self) -> None:
        """The outage is over."""
        self.outages[-1][1] = time.monotonic()

    def was_out(self, begin: float, end: float) -> bool:
        """Whether there was an outage at some time between two of `time.monotonic`."""
        return any(begin <= back and end >= killed for killed, back in self.outages)

    def end(self) -> None:
        """SIGTERM, whatever state it is in."""
        self.process.send_signal(signal.SIGCONT)
        end(self.process)


class Operator:
    """Goes through cycles, and reads the page after each while its clients pause."""

    def __init__(
        self,
        base: Path,
        candidate: Path,
        *,
        stays: int,
        server: Server,
        client: Client,
        page: FrontEnd,
        watched: Watched,
    ) -> None:
        self._base, self._candidate, self._stays = base, candidate, stays
        self._server, self._client, self._page, self._watched = server, client, page, watched
        self._pages: list[Reading] = []  # at the end of each cycle
        self._servers: list[Usage] = []

    def cycle(self, clients: Clients, tell: Callable[[str], None]) -> None:
        """Publish a version, kill the server and start it again, stop it for a while, roll back."""
        version = publish(self._candidate, self._base).version
        wait_until_served(self._client, version, PATIENCE_S)
        time.sleep(_PEACE_S)
        self._server.kill()
        time.sleep(_DEAD_S)
        self._server.start()
        wait_until_up(self._client, version)
        eventually(self._page_is_ready, "the page finds the server again", PATIENCE_S)
        self._server.found_again()
        time.sleep(_PEACE_S)
        self._server.process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        self._server.process.send_signal(signal.SIGCONT)
        config = ConfigFile(self._base / DEFAULT_NAME, MODEL, self._base)
        rollback(Store(self._base), config, self._stays, client=None, timeout_s=PATIENCE_S)
        wait_until_served(self._client, self._stays, PATIENCE_S)
        wait_until_gone(self._client, version, PATIENCE_S)
        time.sleep(_PEACE_S)
        with clients.paused():
            page = self._watched.read_idle()
        server = usage(self._server.process.pid)
        self._pages.append(page)
        self._servers.append(server)
        tell(f"version {version}: page {page}; server {_used(server)}")

    def grown(self) -> list[str]:
        """What grew in the second half of the run, in words; of a single cycle that cannot be told.

        The server is another process in each cycle: a difference would lie in what is on the disk.
        """
        half = self._halfway
        (first, last), servers = (self._pages[half], self._pages[-1]), self._servers[half:]
        found = [f"page: {one}" for one in swollen(first, last) + livelier(first, last)]
        if servers[-1].resident > servers[0].resident * (1 + RESIDENT):
            found.append(f"server: {_used(servers[0])}, then {_used(servers[-1])}")
        return found

    def summary(self) -> dict[str, str]:
        """The readings from which growth is told, by what was read."""
        half = self._halfway
        return {
            "page, halfway and at the end": f"{self._pages[half]}; {self._pages[-1]}",
            "server, halfway and at the end": f"{_used(self._servers[half])}; {_used(self._servers[-1])}",
        }

    @property
    def _halfway(self) -> int:
        return (len(self._pages) - 1) // 2

    def _page_is_ready(self) -> bool:
        return self._page.http.get("/readyz").status_code == httpx.codes.OK


def wait_until_up(client: Client, version: int) -> None:
    """Wait for a server that may not listen yet."""

    def serves() -> bool:
        try:
            wait_until_served(client, version, PATIENCE_S)
        except ServingError:
            return False
        return True

    eventually(serves, f"version {version} is served", PATIENCE_S)


def _used(now: Usage) -> str:
    return f"{now.resident / MB:.0f} MB, {now.descriptors} descriptors"
