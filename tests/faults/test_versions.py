"""Versions that go wrong, under a real server and a real page: what is on disk then, and what answers."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from serving.release.digest import check
from serving.release.store import Store
from tests.conftest import ROOT, RunningServer, Serve, eventually
from tests.serving.conftest import write_tiny_model
from tests.serving.release.conftest import write_warmup
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import picture, send

QUICK = ("--file_system_poll_wait_seconds", "0.2")


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that fulfils the contract; not to be changed."""
    folder = write_tiny_model(tmp_path_factory.mktemp("candidate"), 1)
    write_warmup(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, candidate: Path) -> Path:
    """A base path on which version 1 was published."""
    base = tmp_path_factory.mktemp("base") / "brain_tumor"
    done = publish(candidate, base)
    assert done.returncode == 0, done.stderr
    return base


@pytest.fixture(scope="module")
def server(serve: Serve, base: Path) -> Iterator[RunningServer]:
    with serve(base, *QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def page(server: RunningServer, run_front_end: RunFrontEnd) -> Iterator[FrontEnd]:
    with run_front_end("--server", server.grpc, *NO_RATE) as running:
        yield running


def publishing(candidate: Path, base: Path) -> list[str]:
    return [sys.executable, "-m", "serving", "publish", str(candidate), str(base)]


def publish(candidate: Path, base: Path) -> subprocess.CompletedProcess:
    return subprocess.run(publishing(candidate, base), cwd=ROOT, capture_output=True, text=True)


def answering(page: FrontEnd) -> int:
    """The version that answers a scan on the page."""
    answer = send(page.http, picture(90))
    assert answer.status_code == 200, answer.text
    return answer.json()["model"]["version"]


def sound(base: Path) -> list[int]:
    """Versions on disk, each of them whole; nothing half-made lies beside them."""
    store = Store(base)
    names = [entry.name for entry in base.iterdir() if entry.name.isdigit()]
    assert sorted(map(int, names)) == store.versions()
    assert all(check(store.path(version)).is_whole for version in store.versions())
    return store.versions()


def without_variables(folder: Path) -> None:
    shutil.rmtree(folder / "variables")
    (folder / "variables").mkdir()


def with_another_signature(folder: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, 10, 10, 3), tf.float32, name="pixels")])
    def other(pixels):
        return {"probability": tf.reduce_mean(pixels, axis=[1, 2, 3])}

    shutil.rmtree(folder)
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": other})
    write_warmup(folder)


def with_a_failing_warm_up(folder: Path) -> None:
    write_warmup(folder, ["serving_default", "explain", "rgb", "card", "none_such"])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_variables, "TensorFlow cannot load it"),
        (with_another_signature, "breaks the contract"),
        (with_a_failing_warm_up, "warm-up record 5 fails"),
    ],
)
def test_a_bad_candidate_is_not_published(
    page: FrontEnd,
    base: Path,
    candidate: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    told: str,
) -> None:
    before = sound(base)
    spoil(shutil.copytree(candidate, tmp_path / "candidate"))
    done = publish(tmp_path / "candidate", base)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sound(base) == before
    assert answering(page) == before[-1]


def test_what_is_put_there_broken_is_not_served(
    page: FrontEnd, server: RunningServer, base: Path, candidate: Path
) -> None:
    """By hand, past `publish`: one that was changed since it was published, and one that does not load."""
    serving = answering(page)
    tampered = shutil.copytree(base / str(serving), base.parent / "tampered")
    with (tampered / "saved_model.pb").open("ab") as file:
        file.write(b"\0")
    broken = shutil.copytree(candidate, base.parent / "broken")
    (broken / "saved_model.pb").write_bytes(b"\x0a\x7fgarbage")
    try:
        tampered.rename(base / "98")
        broken.rename(base / "99")
        eventually(
            lambda: {98: "END", 99: "END"}.items() <= server.versions().items(), "both are given up"
        )
        assert server.versions()[serving] == "AVAILABLE"
        assert answering(page) == serving
    finally:
        for number in ("98", "99"):
            shutil.rmtree(base / number, ignore_errors=True)


def test_publishers_that_are_killed_leave_nothing_in_the_way(
    page: FrontEnd, base: Path, candidate: Path
) -> None:
    """Killed (SIGKILL) as soon as there is something half-made. `tests/serving/release/test_killed.py`
    kills at each single step, without a server."""
    before = sound(base)
    staging = base / ".versions" / "staging"
    with subprocess.Popen(publishing(candidate, base), cwd=ROOT, start_new_session=True) as one:
        eventually(lambda: any(staging.rglob("saved_model.pb")), "something is half-made")
        os.killpg(one.pid, signal.SIGKILL)
    assert sound(base) == before
    assert answering(page) == before[-1]
    done = publish(candidate, base)
    assert done.returncode == 0, done.stderr
    assert list(staging.iterdir()) == []
    assert sound(base)[-1] > before[-1]
    eventually(
        lambda: answering(page) == sound(base)[-1], "the page's answers are the new version's"
    )


def test_of_two_publishers_at_once_both_get_a_number(
    page: FrontEnd, base: Path, candidate: Path
) -> None:
    before = sound(base)
    both = [
        subprocess.Popen(publishing(candidate, base), cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for one in both:
        one.communicate()
    assert [one.returncode for one in both] == [0, 0]
    assert len(sound(base)) == len(before) + 2
    eventually(lambda: answering(page) == sound(base)[-1], "the page's answers are the highest's")


def test_a_rollback_is_followed_and_its_number_is_not_used_again(
    page: FrontEnd, server: RunningServer, base: Path, candidate: Path
) -> None:
    assert publish(candidate, base).returncode == 0
    bad = sound(base)[-1]
    back = [sys.executable, "-m", "serving", "rollback", str(base), "--server", server.grpc]
    subprocess.run(back, cwd=ROOT, check=True, capture_output=True)
    assert answering(page) == sound(base)[-1] < bad
    assert publish(candidate, base).returncode == 0
    assert sound(base)[-1] == bad + 1
