"""Runs commands in children of its own, each killed (SIGKILL) just before its n-th change of the disk.

    echo '{"kill_before": 5, "under": "/models", "arguments": ["rollback", "/models"]}' | python killer.py

For each line of standard input one of output: `{"killed": …, "code": …, "steps": […]}`. A step is whatever
the interpreter is about to do to the file system below `under`: making, opening, writing, syncing,
renaming, removing, locking. It is seen by an audit hook and a profiler, so that the command runs as it is.
`arguments` are those of `python -m serving`, or `["new_version", BASE]` for what an export does. Imports
are paid once.
"""

import json
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from serving.__main__ import app, main
from serving.release.store import new_version

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "fcntl.flock"}


def watch(under: str, kill_before: int, steps: list[str]) -> None:
    """Count steps from here on; an audit hook stays for good, hence a child for each command."""

    def is_below(value: object) -> bool:
        path = os.fsdecode(value) if isinstance(value, str | bytes | os.PathLike) else ""
        return path.startswith(under) or (bool(path) and not path.startswith("/"))

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, details: tuple) -> None:
        writes = event == "open" and bool(details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        changes = event == "fcntl.flock" or (event in CHANGES and is_below(details[0]))
        if event == "subprocess.Popen" or changes or (writes and is_below(details[0])):
            step(event)

    def profile(_frame: object, event: str, function: object) -> None:
        # What no audit event tells: writing to an open file, and forcing it to disk.
        if event == "c_call":
            name = getattr(function, "__name__", "")
            file = getattr(getattr(function, "__self__", None), "name", None)
            if name == "fsync" or (name in ("write", "flush") and is_below(file)):
                step(name)

    sys.addaudithook(audit)
    sys.setprofile(profile)


def export(base: Path) -> int:
    with new_version(base) as (folder, version):
        (folder / "variables").mkdir()
        (folder / "saved_model.pb").write_text(f"model {version}")
        (folder / "variables" / "variables.index").write_text("index")
    return 0


def child(order: dict, report: int) -> None:
    steps: list[str] = []
    watch(order["under"], order["kill_before"], steps)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        name, *rest = order["arguments"]
        if name == "new_version":
            code = export(Path(rest[0]))
        else:
            sys.argv = ["serving", *order["arguments"]]
            try:
                code = main()
            except SystemExit as end:
                code = end.code
    os.write(report, json.dumps({"code": code, "steps": steps}).encode())
    os._exit(0)


def serve() -> None:
    assert app  # imported for the children
    for line in sys.stdin:
        order = json.loads(line)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            child(order, writer)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            text = pipe.read()
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        told = json.loads(text) if text else {"code": None, "steps": []}
        sys.stdout.write(json.dumps({"killed": killed} | told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
