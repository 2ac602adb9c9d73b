"""Version management and a running server: what a command changes on disk is what clients get."""

import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from serving.client import Client
from serving.errors import ServingError
from serving.release import follow
from serving.release.digest import check
from serving.release.store import Store, new_version
from serving.versions import VersionError

IMAGE = np.full((1, 224, 224, 3), 128, np.uint8)


@pytest.fixture
def real_base(tmp_path, candidate):
    """A base path with version 1, a model that loads."""
    base = tmp_path / "models"
    with new_version(base) as (folder, _):
        shutil.copytree(candidate, folder, dirs_exist_ok=True)
    return base


def test_publish_rollback_and_restore_are_followed_and_no_call_fails(
    command, serve, candidate, real_base
):
    with serve(real_base, "--file_system_poll_wait_seconds", "0.2") as server:
        server.wait_for(1)
        answered, failed, stop = set(), [], threading.Event()

        def ask() -> None:
            with Client(server.grpc) as client:
                while not stop.wait(0.02):
                    try:
                        answered.add(client.predict(IMAGE).version)
                    except ServingError as error:
                        failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            # With --server a command returns only once the server has followed.
            done = command("publish", candidate, real_base, "--server", server.grpc)
            assert done.returncode == 0, done.stderr
            assert done.stdout.endswith(f"{server.grpc} serves version 2.\n")
            assert server.versions() == {1: "END", 2: "AVAILABLE"}

            done = command("rollback", real_base, "--server", server.rest)
            assert done.returncode == 0, done.stderr
            assert server.versions() == {1: "AVAILABLE", 2: "END"}

            listed = command("versions", real_base, "--server", server.grpc, "--json")
            rows = {row["version"]: row for row in json.loads(listed.stdout)}
            assert (rows[1]["server"], rows[1]["place"]) == ("AVAILABLE", "on disk")
            assert (rows[2]["server"], rows[2]["place"]) == ("END", "withdrawn")

            done = command("restore", real_base, 2, "--server", server.grpc)
            assert done.returncode == 0, done.stderr
            assert server.versions() == {1: "END", 2: "AVAILABLE"}
        finally:
            stop.set()
            asking.join()
    assert answered == {1, 2}
    assert failed == []


def test_prune_spares_what_a_server_has_loaded(command, serve, real_base):
    with serve(real_base, "--file_system_poll_wait_seconds", "0.2") as server:
        server.wait_for(1)
        with new_version(real_base) as (folder, _):
            (folder / "saved_model.pb").write_bytes(b"does not load")
        done = command("prune", real_base, "--keep", 1, "--server", server.grpc)
        assert done.stdout == "Deleted: nothing. Kept, since they are in use: 1.\n"
    assert Store(real_base).versions() == [1, 2]


def test_a_server_that_does_not_follow_is_told(tiny_server):
    with Client(tiny_server.grpc) as client:
        follow.wait_until_served(client, 1, 10)
        with pytest.raises(
            VersionError, match=r"does not serve 7 after 0\.3 s; it has 1 AVAILABLE\."
        ):
            follow.wait_until_served(client, 7, 0.3)
        with pytest.raises(VersionError, match=r"does not let go of 1 after 0\.3 s"):
            follow.wait_until_gone(client, 1, 0.3)


def test_two_operators_publish_at_once(candidate, base):
    command = [sys.executable, "-m", "serving", "publish", str(candidate), str(base)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=400) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert Store(base).versions() == [1, 2, 3, 4, 5]
    assert {check(base / "4").digest, check(base / "5").digest} == {check(base / "4").digest}
    assert check(base / "4").is_whole


def test_operators_at_once_lose_nothing(base):
    """Three processes publish, roll back and restore four times each."""
    script = (
        "import sys; from pathlib import Path; from serving.release.store import Store, new_version\n"
        "base = Path(sys.argv[1])\n"
        "for turn in range(4):\n"
        "    with new_version(base) as (folder, version):\n"
        "        (folder / 'saved_model.pb').write_text(f'model {version}')\n"
        "    store = Store(base)\n"
        "    with store.exclusive():\n"
        "        store.withdraw(version)\n"
        "    with store.exclusive():\n"
        "        store.restore(version)\n"
        "    print(version)\n"
    )
    command = [sys.executable, "-c", script, str(base)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], told
    numbers = sorted(int(line) for out, _ in told for line in out.split())
    assert numbers == list(range(4, 16))
    store = Store(base)
    assert store.versions() == list(range(1, 16))
    for version in numbers:
        assert (store.path(version) / "saved_model.pb").read_text() == f"model {version}"
        assert check(store.path(version)).is_whole
