"""Dockerfiles: linted, hardened, and made of what is there."""

import json
import re
import socket
import subprocess
import threading

import pytest

from tests.conftest import ROOT
from tests.docker.tools import DOCKER, instructions, run, tool
from tests.docker.topology import Topology

NAMES = sorted(path.name.removesuffix(".Dockerfile") for path in DOCKER.glob("*.Dockerfile"))
SERVING_RELEASE = "2.20.0"


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


def test_there_are_three_images():
    assert NAMES == ["serving", "training", "ui"]


def test_hadolint_finds_nothing(name):
    assert run(tool("hadolint"), "--no-color", DOCKER / f"{name}.Dockerfile") == ""


def test_no_image_runs_as_root(name):
    users = [arguments for instruction, arguments in instructions(name) if instruction == "USER"]
    assert users == ["10001:10001"]


def test_signals_reach_the_program(name):
    (entry,) = (text for instruction, text in instructions(name) if instruction == "ENTRYPOINT")
    program = json.loads(entry)[0]
    if program == "if_whole":  # a shell script, which the server takes the place of
        assert (DOCKER / "if_whole.sh").read_text().endswith('\nexec "$@"\n')
    else:
        assert program == "python"


def test_what_is_copied_is_there_and_not_ignored(name):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for instruction, arguments in instructions(name):
        if instruction != "COPY" or "--from=" in arguments:
            continue
        source = next(word for word in arguments.split() if not word.startswith("--"))
        for argument, default in arguments_of(name).items():
            source = source.replace(f"${{{argument}}}", default)
        assert (ROOT / source).exists()
        assert f"!{source.split('/')[0]}" in ignored


def arguments_of(name):
    """Build arguments with a default."""
    given = (text.split("=", 1) for instruction, text in instructions(name) if instruction == "ARG")
    return dict(pair for pair in given if len(pair) == 2)


def test_no_image_installs_what_is_not_locked_by_digest():
    """Nothing but lock files is installed, and each of them names the digests of its packages."""
    files = [*DOCKER.glob("*.Dockerfile"), DOCKER / "space" / "Dockerfile"]
    installs = [line for path in files for line in _install_lines(path)]
    assert len(installs) == 3
    assert all("--require-hashes -r" in line for line in installs)
    for lock in [*ROOT.glob("requirements*.txt"), *DOCKER.glob("requirements*.txt")]:
        text = lock.read_text()
        pinned = re.findall(r"^\S+==\S+.* \\$(?=\n    --hash=sha256:)", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z]", text, re.MULTILINE)) > 50
        assert not re.search(r"index-url|find-links|://", text)


def _install_lines(path):
    text = path.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if "pip install" in line]


def test_the_context_leaves_out_everything_else():
    """Scans, runs, caches, environments: what .gitignore keeps out of git must not get into an image."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert let_in == {"data", "docker", "models", "requirements.txt", "serving", "training", "ui"}


def test_the_server_is_of_one_release_everywhere():
    compose = (DOCKER / "compose.gpu.yaml").read_text()
    assert ("ARG", f"BASE=tensorflow/serving:{SERVING_RELEASE}") in instructions("serving")
    assert f"tensorflow/serving:{SERVING_RELEASE}-gpu" in compose


def _available(*arguments: str) -> int:
    return subprocess.run(["bash", DOCKER / "model_available.sh", *arguments]).returncode


def test_the_health_check_knows_an_available_model(topology: Topology, free_port):
    port = topology.serving.rest.rsplit(":", 1)[1]
    assert _available(port, "brain_tumor") == 0
    assert _available(port, "another_model") == 1
    assert _available(str(free_port())) == 1  # nothing listens


def test_the_health_check_tells_loading_from_available(scripted_status):
    assert _available(scripted_status("LOADING")) == 1
    assert _available(scripted_status("AVAILABLE")) == 0


@pytest.fixture
def scripted_status(free_port):
    """A function that answers one request for the model's status, laid out as TensorFlow Serving does."""

    threads = []

    def answer(state: str) -> str:
        listener = socket.create_server(("127.0.0.1", free_port()))

        def serve() -> None:
            with listener, listener.accept()[0] as connection:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += connection.recv(4096)
                body = (
                    '{\n "model_version_status": [\n  {\n   "version": "3",\n'
                    f'   "state": "{state}",\n   "status": {{\n    "error_code": "OK"\n   }}\n  }}\n ]\n}}\n'
                )
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall((head + body).encode())

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return str(listener.getsockname()[1])

    yield answer
    for thread in threads:
        thread.join()
