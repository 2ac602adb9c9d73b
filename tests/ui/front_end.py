"""A real `python -m ui` process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import ROOT, ended_afterwards


@dataclass(frozen=True)
class FrontEnd:
    """A running front end.

    Attributes:
        address: of the page, "http://127.0.0.1:PORT".
        http: a client on it.
        log: what it wrote.
        pid: of its process.
    """

    address: str
    http: httpx.Client
    log: Path
    pid: int


@contextmanager
def running_front_end(
    port: int, log: Path, *flags: str, program: tuple[str, ...] = ("ui",)
) -> Iterator[FrontEnd]:
    """Run a front end on a port, SIGTERM at the end.

    Args:
        port: where it listens.
        log: what it writes goes here.
        flags: of its command line.
        program: the module that it is run by, and arguments before the flags.
    """
    command = [sys.executable, "-m", *program, "--port", str(port), *flags]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
        ended_afterwards(process),
    ):
        assert process.stdout is not None
        told = process.stdout.readline()
        address = f"http://127.0.0.1:{port}"
        assert told == f"Page and API on {address}\n", log.read_text()
        with httpx.Client(base_url=address, timeout=60) as client:
            yield FrontEnd(address, client, log, process.pid)
