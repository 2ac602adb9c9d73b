"""Killed (SIGKILL) before any single change of the disk, a command leaves whole versions and nothing in
the way: what servers see is from before or after it, the next command works, and clears what was left."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.release.digest import check
from serving.release.store import Store

NEVER = 10**9


@pytest.fixture(scope="module")
def kill():
    """`kill(n, under, *arguments)` runs a command until its n-th step; see killer.py."""
    script = Path(__file__).with_name("killer.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def run(kill_before: int, under: Path, *arguments: object) -> dict:
            words = [str(argument) for argument in arguments]
            order = {"kill_before": kill_before, "under": str(under), "arguments": words}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture
def every_step(kill, base, tmp_path):
    """`every_step(*arguments)` yields a fresh base path after a kill at each step, with the versions of
    `base`; ends when the command got through."""

    def run(name: str, *rest: object, prepare=lambda base: None) -> Iterator[Path]:
        for step in itertools.count(1):
            fresh = shutil.copytree(base, tmp_path / f"killed-{step}")
            prepare(fresh)
            told = kill(step, fresh, name, fresh, *rest)
            if not told["killed"]:
                assert told["code"] == 0
                assert step > 5, "the hook sees nothing"
                return
            yield fresh

    return run


def assert_sound(base: Path, *, may_have: list[list[int]]) -> None:
    """What servers see is one of some sets of versions, each of them whole."""
    store = Store(base)
    assert store.versions() in may_have
    for version in store.versions():
        assert check(store.path(version)).is_whole
    for version in store.withdrawn():
        assert check(store.withdrawn_path(version)).is_whole
    numbers = [entry.name for entry in base.iterdir() if entry.name.isdigit()]
    assert sorted(map(int, numbers)) == store.versions(), "a server would try to load what is none"


def assert_usable(base: Path, publish_stub, *, used: int) -> None:
    """The next publish works, gives out a number above `used`, and clears what was left."""
    before = Store(base).versions()
    assert publish_stub(base) > used
    assert len(Store(base).versions()) == len(before) + 1
    state = base / ".versions"
    assert list((state / "staging").iterdir()) == []
    assert list((state / "trash").iterdir()) == []


def test_new_version(every_step, publish_stub):
    for base in every_step("new_version"):
        assert_sound(base, may_have=[[1, 2, 3], [1, 2, 3, 4]])
        assert_usable(base, publish_stub, used=max(Store(base).versions()))


def test_publish(kill, candidate, base, tmp_path, publish_stub):
    whole_way = shutil.copytree(base, tmp_path / "whole-way")
    told = kill(NEVER, whole_way, "publish", candidate, whole_way)
    assert (told["killed"], told["code"]) == (False, 0)
    steps = told["steps"]
    verified = steps.index("subprocess.Popen")
    assert verified > 10
    # Up to the first step after the scratch process; those that follow each cost a start of TensorFlow
    # and are those that test_new_version goes through.
    for step in range(1, verified + 3):
        fresh = shutil.copytree(base, tmp_path / f"killed-{step}")
        assert kill(step, fresh, "publish", candidate, fresh)["killed"]
        assert_sound(fresh, may_have=[[1, 2, 3]])
        assert_usable(fresh, publish_stub, used=3)


def test_rollback_by_two(every_step, publish_stub):
    seen = []
    for base in every_step("rollback", "--to", "1"):
        # Never [1, 2]: a server would go through a version that nobody asked for.
        assert_sound(base, may_have=[[1, 2, 3], [1, 3], [1]])
        store = Store(base)
        assert sorted(store.versions() + store.withdrawn()) == [1, 2, 3]
        seen.append(store.versions())
        assert_usable(base, publish_stub, used=3)
    assert [1, 3] in seen


def test_restore(every_step, publish_stub):
    def prepare(base):
        store = Store(base)
        with store.exclusive():
            store.withdraw(3)

    for base in every_step("restore", "3", prepare=prepare):
        assert_sound(base, may_have=[[1, 2], [1, 2, 3]])
        assert sorted(Store(base).versions() + Store(base).withdrawn()) == [1, 2, 3]
        assert_usable(base, publish_stub, used=3)


def test_prune(every_step, publish_stub):
    for base in every_step("prune", "--keep", "1"):
        assert_sound(base, may_have=[[1, 2, 3], [2, 3], [3]])
        assert_usable(base, publish_stub, used=3)


def test_prune_of_the_highest_number(every_step, publish_stub):
    def prepare(base):
        store = Store(base)
        with store.exclusive():
            store.withdraw(3)
        (base / ".versions" / "highest").unlink()  # as if all had been copied here by hand

    for base in every_step("prune", "--keep", "2", "--withdrawn", prepare=prepare):
        assert_sound(base, may_have=[[1, 2]])
        assert_usable(base, publish_stub, used=3)


def test_label(every_step, publish_stub):
    def prepare(base):
        base.joinpath("models.config").write_text(CONFIG % base)

    labels = []
    for base in every_step("label", "canary", "2", prepare=prepare):
        config = model_server_config_pb2.ModelServerConfig()
        text_format.Parse(base.joinpath("models.config").read_text(), config)
        (entry,) = config.model_config_list.config
        labels.append(dict(entry.version_labels))
        assert_usable(base, publish_stub, used=3)
    assert {"stable": 1} in labels
    assert all(one in ({"stable": 1}, {"stable": 1, "canary": 2}) for one in labels)


CONFIG = """
model_config_list { config {
  name: "brain_tumor" base_path: "%s" model_platform: "tensorflow"
  model_version_policy { specific { versions: 1 } }
  version_labels { key: "stable" value: 1 }
} }
"""
