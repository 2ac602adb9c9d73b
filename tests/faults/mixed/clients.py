"""The clients of a mixed load: good ones, each of whose answers is judged, and bad ones of several kinds."""

import io
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from numpy.typing import NDArray
from PIL import Image

from serving.bench.askers import Probabilities, is_right
from tests.faults.damage import Damager
from tests.faults.seeds import form, request
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import picture

#: What may be told to a good client while no server is there.
TOLD = frozenset({"server_unavailable", "model_not_found", "deadline_exceeded", "model_replaced"})
_GOOD, _BAD = 4, 3
_PAUSE_S = 0.1
_BAD_KINDS = ("damaged", "damaged", "left", "half", "slow", "event")


@dataclass
class Good:
    """What good clients were told; one object for all of them.

    Attributes:
        images: scans as PNG files.
        expected: P(tumour) of each, of the version that stays and of the one that comes and goes.
        stays: number of the version that stays.
        was_out: whether no server was there at some time between two of `time.monotonic`.
        answered: right answers.
        refused: errors while no server was there, by code; who was told so asked again.
        versions: right answers by version.
        faults: no answer at all, a wrong one, or an error while a server was there.
    """

    images: Sequence[bytes]
    expected: tuple[Probabilities, Probabilities]
    stays: int
    was_out: Callable[[float, float], bool]
    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    versions: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, http: httpx.Client, number: int) -> bool:
        """One request, judged; every third has three scans. Whether it was answered or is lost for good."""
        numbers = [(number + n) % len(self.images) for n in range(3 if number % 3 == 0 else 1)]
        files = [("file", (f"{n}.png", self.images[n])) for n in numbers]
        begin = time.monotonic()
        try:
            response = http.post("/" if len(files) == 1 else "/api/v1/analyze", files=files)
        except httpx.HTTPError as error:
            return self._fault(f"no answer at all: {error!r}")
        body = response.json()
        if response.status_code == httpx.codes.OK:
            return self._judge(body, numbers)
        code, sentence = body["error"]["code"], body["error"]["message"]
        if not self.was_out(begin, time.monotonic()):
            return self._fault(f"{response.status_code} {code} while a server was there")
        if code not in TOLD or not sentence.endswith("."):
            return self._fault(
                f"{response.status_code} {code} while no server was there: {sentence}"
            )
        with self._lock:
            self.refused[code] += 1
        return False

    def _judge(self, body: dict[str, Any], numbers: list[int]) -> bool:
        one = "label" in body
        decisions = [body] if one else [r["slices"][0]["decision"] for r in body["results"]]
        version = body["model"]["version"]
        by_version = {version: self.expected[version != self.stays]}
        if len(decisions) != len(numbers) or not all(
            is_right((version, n, decision["probability"]), by_version)
            for n, decision in zip(numbers, decisions, strict=True)
        ):
            return self._fault(f"version {version} gave {decisions} to {numbers}")
        with self._lock:
            self.answered += 1
            self.versions[version] += 1
        return True

    def _fault(self, what: str) -> bool:
        with self._lock:
            self.faults.append(what)
        return True


class Clients:
    """Good and bad clients of one page, which can pause."""

    def __init__(self, page: FrontEnd, good: Good, seed: int) -> None:
        self._page, self._good = page, good
        self._stop, self._go = threading.Event(), threading.Event()
        self._busy = threading.Semaphore(_GOOD + _BAD)
        self.bad = Counter[str]()
        work: list[Callable[[], None]] = [
            *(lambda n=n: self._be_good(n) for n in range(_GOOD)),
            *(lambda n=n: self._be_bad(seed * 1000 + n) for n in range(_BAD)),
        ]
        self._threads = [threading.Thread(target=one) for one in work]

    @contextmanager
    def running(self) -> Iterator[None]:
        """They ask for as long as the block lasts."""
        self._go.set()
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._go.set()
            for thread in self._threads:
                thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """None of them has a request under way for as long as the block lasts."""
        self._go.clear()
        for _ in self._threads:
            self._busy.acquire()
        try:
            yield
        finally:
            for _ in self._threads:
                self._busy.release()
            self._go.set()

    def _turns(self) -> Iterator[None]:
        while not self._stop.wait(_PAUSE_S):
            self._go.wait()
            with self._busy:
                yield

    def _be_good(self, number: int) -> None:
        with httpx.Client(base_url=self._page.address, timeout=60) as http:
            for _ in self._turns():
                if self._good.ask(http, number):  # who was told to ask again does so
                    number += _GOOD

    def _be_bad(self, seed: int) -> None:
        chance, damager = random.Random(seed), Damager(seed)  # noqa: S311
        address = (self._page.http.base_url.host, self._page.http.base_url.port or 80)
        for number, _ in enumerate(self._turns()):
            kind = chance.choice(_BAD_KINDS)
            self.bad[kind] += 1
            try:
                with socket.create_connection(address, 30) as connection:
                    _misbehave(kind, connection, damager.upload(number).raw, chance)
            except OSError:
                self.bad[f"{kind}, cut off"] += 1


def _misbehave(kind: str, connection: socket.socket, damaged: bytes, chance: random.Random) -> None:
    whole = request(form(picture(90)), headers={"Accept": "application/x-ndjson"})
    match kind:
        case "damaged":
            connection.sendall(damaged)
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
                time.sleep(0.2)
        case _:
            connection.sendall(
                b"GET /gradio_api/queue/data?session_hash=none HTTP/1.1\r\n"
                b"Host: x\r\nConnection: close\r\n\r\n"
            )
            connection.recv(65536)


def as_png(image: NDArray[Any]) -> bytes:
    """A scan as a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
