"""A Hugging Face Space: laid out from what git knows, and run as its container would run it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import ROOT, eventually
from tests.docker.tools import DOCKER, run, tool

SPACE = DOCKER / "space"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laid-out Space."""
    folder = tmp_path_factory.mktemp("space") / "repository"
    run("bash", SPACE / "lay_out.sh", folder)
    return folder


@pytest.fixture(scope="module")
def page(space: Path, free_port, tmp_path_factory) -> Iterator[httpx.Client]:
    """The Space, running."""
    ports = [str(free_port()) for _ in range(3)]
    variables = dict(zip(("PORT", "GRPC_PORT", "REST_PORT"), ports, strict=True))
    variables |= {"HOST": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}
    variables["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    log = tmp_path_factory.mktemp("log") / "log.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [space / "start.sh"], env=os.environ | variables, stdout=output, stderr=output
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", timeout=60) as client,
    ):
        try:
            eventually(lambda: _is_ready(client, process, log), "the Space was ready")
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _is_ready(client: httpx.Client, process: subprocess.Popen, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_the_front_matter_is_what_spaces_read():
    text = (SPACE / "README.md").read_text()
    (front,) = re.findall(r"\A---\n([\s\S]*?)\n---\n", text)
    settings = yaml.safe_load(front)
    assert (settings["sdk"], settings["app_port"]) == ("docker", 7860)
    assert len(settings["short_description"]) <= 60
    assert {settings["colorFrom"], settings["colorTo"]} <= {"gray", "blue"}


def test_hadolint_finds_nothing():
    assert run(tool("hadolint"), "--no-color", SPACE / "Dockerfile") == ""


def test_the_container_has_everything_that_it_copies(space: Path):
    copied = re.findall(r"^COPY (\S+)", (space / "Dockerfile").read_text(), re.MULTILINE)
    assert {path.name for path in space.iterdir()} == {*copied, "Dockerfile", "README.md"}
    assert len(list((space / "models" / "brain_tumor").iterdir())) == 1


def test_a_scan_is_answered(page: httpx.Client, samples: dict[str, list[Path]]):
    answer = page.post("/", files={"file": samples["no"][0].read_bytes()}).json()
    assert answer["label"] == "no_tumor"


def test_nothing_is_left_over(space: Path, page: httpx.Client):
    """What runs there writes nothing into the repository that it was started from."""
    laid_out = run("git", "ls-files", "data", "serving", "ui", "requirements.txt").split()
    found = {str(path.relative_to(space)) for path in space.rglob("*") if path.is_file()}
    models = {name for name in found if name.startswith("models/")}
    ours = {"Dockerfile", "README.md", "start.sh"}
    assert found - models - ours == {name for name in laid_out if (ROOT / name).exists()}
