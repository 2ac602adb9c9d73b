"""The runbook's chapter on rolling a version, its commands as they stand there, on a server under load."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.client import Client
from serving.errors import ServingError
from serving.release.store import new_version
from tests.conftest import ROOT, RunningServer, Serve
from tests.docker.tools import DOCKER
from tests.serving.conftest import write_tiny_model
from tests.serving.release.conftest import write_warmup
from tests.ui.front_end import FrontEnd, running_front_end

GREY = np.full((1, 224, 224, 3), 128, np.uint8)
#: P(tumour) of grey by version: its brightness, and what tells the versions from each other.
ANSWERS = {1: 128 / 255, 2: 128 / 255 + 0.02}
CHAPTER = (DOCKER / "RUNBOOK.md").read_text().split("\n## ")[1]
STEPS = dict(re.findall(r"^### \d\. (.*)\n[\s\S]*?```sh\n([\s\S]*?)```", CHAPTER, re.MULTILINE))
FLAGS = (
    "--model_config_file_poll_wait_seconds=0.2",
    "--file_system_poll_wait_seconds=0.2",
    "--allow_version_labels_for_unavailable_models=true",
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base path with version 1."""
    base = tmp_path / "models"
    with new_version(base) as (folder, version):
        made = write_tiny_model(tmp_path / "made", version)
        shutil.copytree(made, folder, dirs_exist_ok=True)
    return base


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """An exported model that answers a little higher."""
    folder = write_tiny_model(tmp_path / "candidates", 2, bias=0.02)
    write_warmup(folder)
    return folder


@pytest.fixture
def step(base: Path, candidate: Path, tmp_path: Path) -> Callable[..., str]:
    """`step(title, server)` runs the commands of a step as the runbook has them; what they print."""

    def run(title: str, server: str = "") -> str:
        variables = {
            "BASE": str(base),
            "CANDIDATE": str(candidate),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SCANS": "data/samples",
            "SERVER": server,
            "WORK": str(tmp_path),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", STEPS[title]],
            cwd=ROOT,
            env=os.environ | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def server(serve: Serve, base: Path, step: Callable[..., str]) -> Iterator[RunningServer]:
    """A server with labels, as compose.labels.yaml starts it."""
    step("Once: what serves now is stable")
    config = base / "models.config"
    text_format.Parse(config.read_text(), model_server_config_pb2.ModelServerConfig())
    with serve(base, "--model_config_file", str(config), *FLAGS) as running:
        yield running


@pytest.fixture
def page(server: RunningServer, free_port, tmp_path: Path) -> Iterator[FrontEnd]:
    """A page that asks for the label, as compose.labels.yaml starts it."""
    flags = ("--server", server.grpc, "--version-label", "stable")
    with running_front_end(free_port(), tmp_path / "page.log", *flags) as running:
        yield running


def answering(server: RunningServer, label: str) -> int:
    """The version that answers for a label; its answer must be its own."""
    with Client(server.grpc, timeout_s=120) as client:
        answer = client.predict(GREY, version_label=label)
    assert answer.predictions[0].probability == pytest.approx(ANSWERS[answer.version], abs=1e-5)
    return answer.version


def asked_on(page: FrontEnd, samples: dict[str, list[Path]]) -> int:
    """The version that answers on the page, which must be the one that it says is ready."""
    answer = page.http.post("/", files={"file": samples["no"][0].read_bytes()}).json()
    version = answer["model"]["version"]
    assert page.http.get("/readyz").json()["version"] == version
    return version


def test_the_chapter_has_its_steps():
    assert list(STEPS) == [
        "Once: what serves now is stable",
        *("Publish", "Canary", "Compare", "Promote", "Roll back", "Tidy up"),
    ]


def test_a_version_is_rolled_out_and_back_and_nobody_notices(server, page, base, step, samples):
    with under_load(server) as lost:
        step("Publish", server.grpc)
        assert (answering(server, "stable"), asked_on(page, samples)) == (1, 1)
        step("Canary", server.grpc)
        assert (answering(server, "stable"), answering(server, "canary")) == (1, 2)
        assert asked_on(page, samples) == 1  # though 2 is newer, and loaded
        compared = step("Compare", server.grpc)
        assert "36 scans, versions 1 and 2" in compared
        step("Promote", server.grpc)
        assert (answering(server, "stable"), asked_on(page, samples)) == (2, 2)
        step("Roll back", server.grpc)
        assert (answering(server, "stable"), asked_on(page, samples)) == (1, 1)
        step("Tidy up", server.grpc)
        assert (answering(server, "stable"), asked_on(page, samples)) == (1, 1)
    assert lost == []
    assert sorted(path.name for path in base.iterdir() if path.name.isdigit()) == ["1", "2"]


@contextmanager
def under_load(server: RunningServer) -> Iterator[list[Exception]]:
    """Ask for `stable` all the time; a list of what went wrong."""
    lost: list[Exception] = []
    stop = threading.Event()

    def ask() -> None:
        with Client(server.grpc, timeout_s=120) as client:
            while not stop.wait(0.02):
                try:
                    answer = client.predict(GREY, version_label="stable")
                    got = answer.predictions[0].probability
                    assert got == pytest.approx(ANSWERS[answer.version], abs=1e-5)
                except (AssertionError, ServingError) as error:
                    lost.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield lost
    finally:
        stop.set()
        asking.join()


@pytest.mark.parametrize(
    ("probability", "code"), [(0.71, 0), (0.2, 1)], ids=["the same label", "another label"]
)
def test_a_comparison_judges_what_changes(tmp_path, probability, code):
    done = compared(tmp_path, *([row_of("scans/yes/a.png", p)] for p in (0.7, probability)))
    assert done.returncode == code, done.stderr
    assert f"label changes, or whether it is refused: {code}\n" in done.stdout


def test_a_comparison_counts_slices_of_volumes_and_members_of_archives(tmp_path):
    slices = [{"slice": 1, "empty": True}, {"slice": 2} | row_of("", 0.3)]
    rows = [
        {"file": "scans/yes/volume.nii", "version": 1, "slices": slices},
        *(row_of("scans/yes/all.zip", 0.7) | {"member": f"yes/{name}.png"} for name in "ab"),
    ]
    done = compared(tmp_path, rows, rows)
    assert done.returncode == 0, done.stderr
    assert "3 scans, versions 1 and 1\n" in done.stdout
    assert "version 1 is right about 2 of 2\n" in done.stdout  # nobody knows it of the slice


def row_of(file: str, probability: float) -> dict[str, object]:
    label = "tumor" if probability >= 0.5 else "no_tumor"
    decision = {"label": label, "probability": probability, "risk": "medium"}
    return {"file": file, "version": 1, "in_distribution": True} | decision


def compared(folder: Path, *answers: list[dict]) -> subprocess.CompletedProcess[str]:
    """Two outputs of `predict --json` compared, each with a file that could not be read."""
    names = ("before.json", "after.json")
    for name, rows in zip(names, answers, strict=True):
        (folder / name).write_text(json.dumps([*rows, {"file": "b", "error": "empty"}]))
    command = [sys.executable, str(DOCKER / "compare_answers.py"), *names]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)
