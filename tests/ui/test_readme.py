"""The examples and tables of `ui/README.md`, against a real front end and the settings there are."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import httpx
import pytest

from tests.conftest import ROOT
from tests.ui.front_end import FrontEnd
from ui.settings import Settings

README = (ROOT / "ui" / "README.md").read_text(encoding="utf-8")
PIECES = {
    found["name"]: found["text"]
    for found in re.finditer(
        r"^```\w+\n(?P<text># (?P<name>\S+\.(?:py|sh))\n.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
}


def run(name: str, front_end: FrontEnd) -> str:
    """What an example prints."""
    text = PIECES[name].replace("http://127.0.0.1:7860", front_end.address)
    program = [sys.executable, "-c"] if name.endswith(".py") else ["bash", "-euc"]
    done = subprocess.run(
        [*program, text], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is missing")


def test_every_example_is_run_here() -> None:
    assert set(PIECES) == {"one.sh", "many.sh", "stream.sh", "card.sh", "events.py"}


@needs_curl
def test_one(front_end: FrontEnd) -> None:
    assert json.loads(run("one.sh", front_end))["model"]["version"] == 7


@needs_curl
def test_many(front_end: FrontEnd) -> None:
    report = json.loads(run("many.sh", front_end))
    assert report["results"][0]["slices"][0]["heatmap"] == [[1, 0], [0, 0]]
    assert report["refused"][0]["file"] == 1


@needs_curl
def test_stream(front_end: FrontEnd) -> None:
    told = [json.loads(line)["event"] for line in run("stream.sh", front_end).splitlines()]
    assert told == ["study", "model", "slice", "end"]


@needs_curl
def test_card(front_end: FrontEnd) -> None:
    assert json.loads(run("card.sh", front_end))["model"] == "brain_tumor"


def test_events(front_end: FrontEnd) -> None:
    assert run("events.py", front_end).strip() in ("low", "medium", "high")


def test_the_table_of_settings_is_complete() -> None:
    table = README[README.index("| setting |") :].split("\n\n")[0]
    listed = re.findall(r"`--([a-z-]+)`", table)
    known = {field.name.replace("_", "-"): field.default for field in fields(Settings)}
    assert sorted(listed) == sorted(known)
    for name in ("rate-limit", "running", "waiting", "memory-mb", "port"):
        (row,) = (row for row in table.splitlines() if f"`--{name}`" in row)
        assert str(known[name]) in row


def test_the_table_of_routes_is_complete(api: httpx.Client) -> None:
    table = README[README.index("| route |") :].split("\n\n")[0]
    for path in api.get("/openapi.json").json()["paths"]:
        assert f"{path}`" in table
