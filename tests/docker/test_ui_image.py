"""What the page's image would hold, installed from its lock file: small, no TensorFlow, and enough to run.

The page runs as in the container: no other package, a read-only root file system, a user without rights.
"""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT, eventually
from tests.docker.tools import DOCKER, instructions, run, tool
from tests.docker.topology import Topology

MEGABYTE = 10**6
LIMIT = 900 * MEGABYTE
#: python:3.11-slim, unpacked, with room to grow; not to be had here.
BASE_IMAGE = 150 * MEGABYTE
TMP = "/tmp"  # noqa: S108
#: Where the image's files are in the container: a folder that is there anyhow.
INSIDE = "/mnt"
ROOMS = ("data", "serving", "ui")


def pins(path: Path) -> list[Requirement]:
    """What a lock file pins; a package more than once where it depends on the platform."""
    lines = re.findall(r"^[a-z][^\\\n]*", path.read_text(), re.MULTILINE)
    return [Requirement(line) for line in lines]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `venv` and `app` as the Dockerfile makes them."""
    folder = tmp_path_factory.mktemp("image")
    copied = [arguments.split()[-1] for name, arguments in instructions("ui") if name == "COPY"]
    assert {room for room in copied if room in ROOMS} == set(ROOMS)
    for room in ROOMS:
        caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, folder / "app" / room, ignore=caches)
    run(tool("uv"), "venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    locked = DOCKER / "requirements-ui.txt"
    run(tool("uv"), "pip", "install", "--quiet", "--python", python, "-r", locked)
    return folder


@pytest.fixture(scope="module")
def page(image: Path, topology: Topology, free_port) -> Iterator[httpx.Client]:
    """The page in that folder, with no rights but to read, and to write /tmp."""
    port = free_port()
    jail = [
        tool("bwrap"),
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ]
    jail += ["--ro-bind", str(image), INSIDE, "--tmpfs", TMP, "--chdir", f"{INSIDE}/app"]
    jail += ["--unshare-user", "--uid", "10001", "--gid", "10001", "--cap-drop", "ALL"]
    command = [*jail, f"{INSIDE}/venv/bin/python", "-m", "ui", "--port", str(port)]
    command += ["--server", topology.serving.grpc]
    variables = {"HOME": TMP, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        (image / "log.txt").open("wb") as log,
        subprocess.Popen(command, env=variables, stdout=log, stderr=log) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        try:
            eventually(lambda: _is_up(client, process, image / "log.txt"), "the page answered")
            yield client
        finally:
            process.terminate()
            process.wait(30)


def _is_up(client: httpx.Client, process: subprocess.Popen, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_versions_are_those_of_the_lock():
    ours, all_of_them = pins(DOCKER / "requirements-ui.txt"), pins(ROOT / "requirements.txt")
    assert len(ours) > 30
    assert set(map(str, ours)) <= set(map(str, all_of_them))


def test_everything_that_the_page_imports_is_in_the_lock():
    """Also what is imported late, as a decoder is when a file needs it."""
    owners = importlib.metadata.packages_distributions()
    locked = {one.name for one in pins(DOCKER / "requirements-ui.txt")}
    for module in imported("ui.__main__"):
        found = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(module, [])}
        assert found & locked, f"{module} is imported; its package is not in the page's group"


def imported(start: str) -> set[str]:
    """Packages of others that a module imports, itself or by modules of ours, anywhere in their code."""
    seen, waiting, others = set(), [start], set()
    while waiting:
        name = waiting.pop()
        paths = [ROOT / f"{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")]
        path = next((path for path in paths if path.exists()), None)
        if path is None or name in seen:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for one in names:
                top = one.split(".")[0]
                if top in (*ROOMS, "training"):
                    waiting.append(one)
                elif top not in sys.stdlib_module_names:
                    others.add(top)
    return others


def test_imports_are_found():
    assert {"gradio", "grpc", "numpy", "pydicom"} <= imported("ui.__main__")
    assert "tensorflow" in imported("serving.local.server")


def test_there_is_no_tensorflow(image: Path):
    files = [path.name for path in (image / "venv").rglob("*")]
    assert len(files) > 1000
    assert [name for name in files if "tensorflow" in name.lower() or name == "keras"] == []


def test_it_is_small_enough(image: Path):
    files = [path for path in image.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    # The image's are compiled as well, to files of about the same size.
    size += sum(path.stat().st_size for path in files if path.suffix == ".py") + BASE_IMAGE
    assert size < LIMIT, f"{size / MEGABYTE:.0f} MB"


def test_the_page_runs_without_the_right_to_write(page: httpx.Client):
    assert "Gradio" in page.get("/").text
    assert page.get("/readyz").status_code == 200


def test_it_answers_a_scan(page: httpx.Client, samples: dict[str, list[Path]]):
    answer = page.post("/", files={"file": samples["yes"][0].read_bytes()})
    assert answer.json()["label"] == "tumor"


def test_the_health_check_of_the_image_passes(page: httpx.Client):
    """As it stands in the Dockerfile, on this port; and fails where nothing answers."""
    arguments = dict(instructions("ui"))["HEALTHCHECK"]
    _, _, code = ast.literal_eval(arguments[arguments.index("CMD") + 3 :].strip())
    for port, expected in ((page.base_url.port, 0), (1, 1)):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("7860", str(port))], capture_output=True
        )
        assert done.returncode == expected


def test_python_is_that_of_the_image():
    assert ("FROM", "python:3.11-slim") in instructions("ui")
    assert sys.version_info[:2] == (3, 11)
