"""Sends damaged uploads to a real front end and demands a sentence for each, and that nothing grows.

    python -m tests.faults.mutations --uploads 10000 --seed 1

Upload N of a seed is always the same: `--first N` goes on where a run ended, or sends one again. The last
ones are sent twice: the second time all code is loaded, so that whatever they leave alive is kept.
"""

import http.client
import json
import os
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from cyclopts import App
from rich.console import Console

from tests.conftest import free_tcp_port
from tests.faults.damage import Damager, Upload
from tests.faults.growth import Reading, Watched, kept, swollen
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import scripted_server

#: An answer that takes longer is a hang.
HANG_S = 30.0
#: Uploads until most code is loaded and most pools are full; the process may hardly grow from then on.
WARM = 400
#: So many of the last ones are sent again.
AGAIN = 1000
_AT_ONCE = 4
_LOOK = 500
_progress = Console(stderr=True, highlight=False)

app = App(help="Damaged uploads through the real HTTP API.")


@dataclass
class Found:
    """What came of the uploads.

    Attributes:
        answers: status and code of each answer, counted; "hung up" where none was due.
        faults: what must not be, with the number of the upload.
        warm, once, again: the front end after the first uploads, after all, and with the last ones repeated.
        left: files in its folder for temporary ones at the end.
    """

    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    warm: Reading | None = None
    once: Reading | None = None
    again: Reading | None = None
    left: list[str] = field(default_factory=list)

    def judge(self, number: int, upload: Upload, said: tuple[int, bytes] | str) -> None:
        """Count an answer; whatever is no answer to a bad request is a fault."""
        if isinstance(said, str):
            self.answers[said] += 1
            if said == "hang" or upload.whole:
                self.faults.append(f"upload {number} ({upload.kind}): {said}")
            return
        status, body = said
        try:
            codes = list(_codes(status, body))
        except (ValueError, KeyError, TypeError) as error:
            codes = [f"{status} unreadable"]
            self.faults.append(f"upload {number} ({upload.kind}): {error!r} in {body[:200]!r}")
        self.answers.update(codes)
        if status >= 500:
            self.faults.append(f"upload {number} ({upload.kind}): {status} {body[:200]!r}")


@contextmanager
def watched_front_end() -> Iterator[tuple[FrontEnd, Watched, Path]]:
    """A real front end before a scripted model server, and the folder that its temporary files go to."""
    with TemporaryDirectory(prefix="mutations-") as folder:
        temporary, alive = Path(folder) / "tmp", Path(folder) / "alive.json"
        temporary.mkdir()
        places = {"TMPDIR": str(temporary), "GRADIO_TEMP_DIR": str(temporary / "gradio")}
        with (
            scripted_server(free_tcp_port()) as server,
            patch.dict(os.environ, places),
            running_front_end(
                free_tcp_port(),
                Path(folder) / "log.txt",
                *("--server", server.address, "--rate-limit", "0"),
                program=("tests.faults.alive", str(alive)),
            ) as front_end,
        ):
            yield front_end, Watched(front_end, alive), temporary


def bombard(
    front_end: FrontEnd, watched: Watched, temporary: Path, numbers: range, seed: int
) -> Found:
    """Send the uploads and judge the answers; progress on standard error."""
    found, damager = Found(), Damager(seed)
    address = front_end.http.base_url

    def one(number: int) -> tuple[int, Upload, tuple[int, bytes] | str]:
        upload = damager.upload(number)
        return number, upload, _ask(str(address.host), address.port or 80, upload)

    def send(part: range) -> Reading:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for number, upload, said in pool.map(one, part):
                found.judge(number, upload, said)
        reading = watched.read_idle()
        _progress.print(f"up to {part[-1]}: {len(found.faults)} faults; {reading}")
        return reading

    found.warm = send(numbers[:WARM])
    for start in range(WARM, len(numbers), _LOOK):
        found.once = send(numbers[start : start + _LOOK])
    repeated = numbers[max(WARM, len(numbers) - AGAIN) :]
    found.again = send(repeated)
    assert found.once is not None
    found.faults += swollen(found.warm, found.again)
    found.faults += kept(found.once, found.again, len(repeated))
    found.left = [str(one.relative_to(temporary)) for one in temporary.rglob("*") if one.is_file()]
    if found.left:
        found.faults.append(f"files were left: {found.left[:5]}")
    if "Traceback" in front_end.log.read_text(errors="replace"):
        found.faults.append(f"the log holds a traceback: {_first_traceback(front_end.log)}")
    if front_end.http.get("/healthz").status_code != http.HTTPStatus.OK:
        found.faults.append("it is not healthy afterwards")
    return found


@app.default
def main(*, uploads: int = 10_000, seed: int = 1, first: int = 0) -> int:
    """Send them; 1 if anything fell.

    Args:
        uploads: how many, more than are needed to warm up.
        seed: of the damage.
        first: number of the first one.
    """
    console = Console(markup=False, highlight=False, soft_wrap=True)
    with watched_front_end() as (front_end, watched, temporary):
        found = bombard(front_end, watched, temporary, range(first, first + uploads), seed)
    for code, count in found.answers.most_common():
        console.print(f"{count:7} {code}")
    console.print(f"after the first {WARM}: {found.warm}")
    console.print(f"after all {uploads}: {found.once}")
    console.print(f"with the last ones sent again: {found.again}")
    console.print(
        f"{uploads} uploads, seed {seed}: {len(found.faults)} faults, {len(found.left)} files left"
    )
    for fault in found.faults[:50]:
        console.print(fault)
    return 1 if found.faults else 0


def _ask(host: str, port: int, upload: Upload) -> tuple[int, bytes] | str:
    """Status and body, or what happened instead."""
    try:
        with socket.create_connection((host, port), HANG_S) as connection:
            try:
                connection.sendall(upload.raw)
                if not upload.whole:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused before all was sent; the answer may be there all the same
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.read()
    except TimeoutError:
        return "hang"
    except (OSError, http.client.HTTPException):
        return "hung up"


def _codes(status: int, body: bytes) -> Iterator[str]:
    """What was answered, a word for each file; every refusal must have a sentence."""
    if status == http.HTTPStatus.BAD_REQUEST and body == b"Invalid HTTP request received.":
        yield "400 no HTTP"
        return
    try:
        told = [json.loads(body)]
    except ValueError:  # a stream
        told = [json.loads(line) for line in body.splitlines()]
    for document in told:
        refused = [*document.get("refused", ()), *([document] if "error" in document else ())]
        for one in refused:
            sentence = one["error"]["message"]
            if not sentence.endswith(".") or "Traceback" in sentence or "object at" in sentence:
                raise ValueError(f"no sentence: {sentence!r}")
            yield f"{status} {one['error']['code']}"
        if not refused and ("label" in document or "results" in document or "slice" in document):
            yield f"{status} answered"


def _first_traceback(log: Path) -> str:
    text = log.read_text(errors="replace")
    lines = text[text.index("Traceback") :].splitlines()
    return next((line for line in lines[1:] if line and not line.startswith(" ")), "")


if __name__ == "__main__":
    app()
