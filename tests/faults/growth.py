"""Whether a page grows: what lives in it, its memory and its descriptors, read while it does nothing."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from serving.bench.usage import Usage, usage
from tests.conftest import eventually
from tests.faults.alive import Alive
from tests.ui.front_end import FrontEnd
from tests.ui.test_limits import gauge

#: What a request may leave behind, and what timers and buffers of the moment weigh.
BLOCKS, BLOCKS_OF_THE_MOMENT = 2, 1000
BYTES, BYTES_OF_THE_MOMENT = 2**10, 2**20
#: Of the whole process, the holes that allocators keep included.
RESIDENT = 0.10
DESCRIPTORS = 4
#: Of what lives, where code is still loaded and threads come and go: a pool of 40 is 2,500 blocks.
ALIVE_BLOCKS, ALIVE_BYTES = 0.01, 0.05
MB = 2**20


@dataclass(frozen=True)
class Reading:
    """A page at one moment."""

    alive: Alive
    usage: Usage

    def __str__(self) -> str:
        return (
            f"{self.usage.resident / MB:.0f} MB, alive {self.alive.blocks:,} blocks and "
            f"{self.alive.bytes / MB:.1f} MB, {self.usage.descriptors} descriptors"
        )


class Watched:
    """A page that is run by `alive.py`, with the file that it tells in."""

    def __init__(self, page: FrontEnd, file: Path) -> None:
        self._page, self._file = page, file

    def read_idle(self) -> Reading:
        """A reading once every request has ended and given back what it held."""
        for name in ("running", "waiting", "upload_bytes"):
            metric = f"brain_tumor_ui_{name}"
            eventually(lambda m=metric: gauge(self._page.http, m) == 0, f"{metric} is 0")
        return self.read()

    def read(self) -> Reading:
        """A reading now."""
        self._file.unlink(missing_ok=True)
        os.kill(self._page.pid, signal.SIGUSR1)
        eventually(self._file.exists, "the page tells what lives in it")
        alive = Alive(**json.loads(self._file.read_text()))
        return Reading(alive, usage(self._page.pid))


def swollen(before: Reading, after: Reading) -> list[str]:
    """What the process takes from the system more than before, in words."""
    found = []
    if after.usage.resident > before.usage.resident * (1 + RESIDENT):
        found.append(f"its memory grew: {before}; then {after}")
    if after.usage.descriptors > before.usage.descriptors + DESCRIPTORS:
        found.append(f"its descriptors grew: {before}; then {after}")
    return found


def kept(before: Reading, after: Reading, requests: int) -> list[str]:
    """What was left alive by requests whose like came before: code is loaded, pools are full."""
    blocks = after.alive.blocks - before.alive.blocks
    held = after.alive.bytes - before.alive.bytes
    if blocks > BLOCKS_OF_THE_MOMENT + BLOCKS * requests:
        return [f"{requests} requests like earlier ones left {blocks} blocks alive"]
    if held > BYTES_OF_THE_MOMENT + BYTES * requests:
        return [f"{requests} requests like earlier ones left {held} bytes alive"]
    return []


def livelier(before: Reading, after: Reading) -> list[str]:
    """Whether more lives than at a moment when nearly all had been met, in words."""
    blocks, size = before.alive.blocks * (1 + ALIVE_BLOCKS), before.alive.bytes * (1 + ALIVE_BYTES)
    if after.alive.blocks > blocks or after.alive.bytes > size:
        return [f"more lives in it: {before}; then {after}"]
    return []
