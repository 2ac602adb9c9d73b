"""Labels on a running server that reads `models.config`: each command is over once clients get the right
version, and nobody who asks by label meanwhile is left without an answer, or gets another version's."""

import shutil
import threading

import numpy as np
import pytest

from serving.client import Client
from serving.errors import ModelNotFound, ServingError
from serving.release.store import new_version

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)
BIASES = {1: 0.0, 2: 0.1}


@pytest.fixture
def base(tmp_path, write_model):
    """A base path with versions 1 and 2, told from each other by their answers."""
    base = tmp_path / "models"
    for bias in BIASES.values():
        with new_version(base) as (folder, version):
            model = write_model(tmp_path / "made", version, bias=bias)
            shutil.copytree(model, folder, dirs_exist_ok=True)
    return base


@pytest.fixture
def server(serve, base, command):
    """A server on it, started with the label stable on version 1."""
    done = command("label", base, "stable", 1)
    assert done.returncode == 0, done.stderr
    flags = ["--model_config_file", str(base / "models.config")]
    flags += ["--model_config_file_poll_wait_seconds", "0.2"]
    flags += ["--file_system_poll_wait_seconds", "0.2"]
    flags += ["--allow_version_labels_for_unavailable_models=true"]
    with serve(base, *flags) as server:
        server.wait_for(1)
        yield server


@pytest.fixture
def asked(server):
    """A function that asks over gRPC and REST by label: the version that answered, the same on both."""

    def ask(label: str | None) -> int:
        versions = set()
        for address in (server.grpc, server.rest):
            with Client(
                address, timeout_s=120
            ) as client:  # a new one: REST's remember for a second
                answer = client.predict(IMAGE, version_label=label)
            assert_made_by_its_version(answer)
            versions.add(answer.version)
        (version,) = versions
        return version

    return ask


def assert_made_by_its_version(answer) -> None:
    (one,) = answer.predictions
    assert one.probability == pytest.approx(128 / 255 + BIASES[answer.version], abs=1e-5)


def test_labels_move_and_roll_back_without_a_gap(server, base, command, asked):
    failed, stop = [], threading.Event()

    def ask(address: str) -> None:
        with Client(address, timeout_s=120) as client:
            while not stop.wait(0.01):
                try:
                    assert_made_by_its_version(client.predict(IMAGE, version_label="stable"))
                except (AssertionError, ServingError) as error:
                    failed.append(error)

    def run(*arguments: object) -> str:
        done = command(*arguments, "--server", server.grpc)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert (asked("stable"), asked(None)) == (1, 1)
    with pytest.raises(ModelNotFound, match="canary"):
        asked("canary")
    threads = [threading.Thread(target=ask, args=(one,)) for one in (server.grpc, server.rest)]
    for thread in threads:
        thread.start()
    try:
        assert f"{server.grpc} serves version 2." in run("label", base, "canary", 2)
        # Whoever names neither version nor label gets the newest that is loaded.
        assert (asked("stable"), asked("canary"), asked(None)) == (1, 2, 2)

        run("label", base, "stable", 2)
        assert (asked("stable"), asked("canary")) == (2, 2)
        # Nothing names version 1 any more: going back loads it first, then moves the labels.
        run("rollback", base)
        assert (asked("stable"), asked("canary"), asked(None)) == (1, 1, 1)
        assert server.versions() == {1: "AVAILABLE", 2: "END"}

        run("label", base, "canary", "--remove")
        with pytest.raises(ModelNotFound, match="canary"):
            asked("canary")
        assert asked("stable") == 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert (base / "2").is_dir(), "a rollback of labels moves no directory"


def test_a_server_that_reads_no_config_is_told(tiny_server, tiny_models, tmp_path, command):
    done = command(
        *("label", tiny_models, "stable", 1, "--config", tmp_path / "models.config"),
        *("--server", tiny_server.grpc, "--wait-s", "1"),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "python -m serving: On the server the label stable names no version after 1 s, not 1."
    )
