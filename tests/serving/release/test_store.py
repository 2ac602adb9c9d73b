"""The base path: versions appear whole or not at all, and no number is ever given out twice."""

import shutil

import pytest

from serving.release.digest import check
from serving.release.disk import lock
from serving.release.store import STATE, Store, new_version
from serving.versions import PublishError, VersionError, list_versions


def test_a_version_appears_whole_read_only_and_with_its_digest(tmp_path):
    with new_version(tmp_path) as (folder, version):
        (folder / "saved_model.pb").write_bytes(b"model")
        (folder / "saved_model.pb").chmod(0o600)
        (folder / "variables").mkdir(mode=0o700)
        assert list_versions(tmp_path) == []
    assert version == 1
    path = tmp_path / "1"
    assert check(path).is_whole
    assert path.stat().st_mode & 0o777 == 0o755
    assert (path / "variables").stat().st_mode & 0o777 == 0o755
    assert (path / "saved_model.pb").stat().st_mode & 0o777 == 0o444
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [STATE, "1"]
    assert list((tmp_path / STATE / "staging").iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail():
        with new_version(tmp_path) as (folder, _):
            (folder / "saved_model.pb").touch()
            raise RuntimeError("out of ideas")

    with pytest.raises(RuntimeError, match=r"out of ideas"):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == [STATE]
    assert list((tmp_path / STATE / "staging").iterdir()) == []


def test_a_version_without_a_model_is_refused(tmp_path):
    with (
        pytest.raises(PublishError, match=r"No saved_model\.pb was written for version 1"),
        new_version(tmp_path),
    ):
        pass
    assert list_versions(tmp_path) == []


def test_two_publishers_at_once_get_two_numbers(tmp_path):
    with new_version(tmp_path) as (first, a), new_version(tmp_path) as (second, b):
        (first / "saved_model.pb").write_text("first")
        (second / "saved_model.pb").write_text("second")
    assert (a, b) == (1, 2)
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "first"
    assert (tmp_path / "2" / "saved_model.pb").read_text() == "second"


@pytest.mark.parametrize("name", ["8", "007", "000000012"])
def test_a_number_is_not_given_out_if_a_directory_that_is_no_version_has_it(
    tmp_path, publish_stub, name
):
    (tmp_path / name).mkdir()
    assert publish_stub(tmp_path) == int(name) + 1


def pruned(store):
    store.discard(store.path(3))


def rolled_back(store):
    store.withdraw(3)


def rolled_back_and_pruned(store):
    store.withdraw(3)
    store.discard(store.withdrawn_path(3))


def moved_away_by_hand(store):
    store.path(3).rename(store.base.parent / "aside")


def all_gone(store):
    for version in store.versions():
        store.discard(store.path(version))


@pytest.mark.parametrize(
    "gone", [pruned, rolled_back, rolled_back_and_pruned, moved_away_by_hand, all_gone]
)
def test_the_highest_number_is_not_given_out_again_once_its_version_is_gone(
    store, gone, publish_stub
):
    with store.exclusive():
        gone(store)
    assert 3 not in store.versions()
    assert publish_stub(store.base) == 4


def test_nor_where_versions_were_copied_by_hand_before_anything_was_published(tmp_path, base):
    other = tmp_path / "unmanaged"
    shutil.copytree(base / "1", other / "1")
    shutil.copytree(base / "2", other / "2")
    store = Store(other)
    with store.exclusive():
        store.withdraw(2)
        store.discard(store.withdrawn_path(2))
        assert store.reserve() == 3


def test_a_directory_that_appears_under_the_reserved_number_is_not_replaced(tmp_path):
    def race():
        with new_version(tmp_path) as (folder, version):
            (folder / "saved_model.pb").touch()
            (tmp_path / str(version)).mkdir()  # empty: a plain rename would replace it

    with pytest.raises(PublishError, match=r"Nothing was published .* exists"):
        race()
    assert list((tmp_path / "1").iterdir()) == []


def test_a_highest_number_that_cannot_be_read_stops_publishing(base, publish_stub):
    (base / STATE / "highest").write_text("many")
    with pytest.raises(VersionError, match=r"holds no number. Write the highest version number"):
        publish_stub(base)


def test_what_dead_publishers_left_is_cleared_and_living_ones_are_not_disturbed(base):
    store = Store(base)
    staging = base / STATE / "staging"
    (staging / "2" / "version").mkdir(parents=True)
    (staging / "2" / "lock").touch()
    (base / STATE / "trash" / "1").mkdir()
    with new_version(base) as (folder, version):
        (folder / "saved_model.pb").touch()
        with store.exclusive():
            left = [entry.name for entry in staging.iterdir()]
    assert left == [str(version)]
    assert list((base / STATE / "trash").iterdir()) == []
    assert list_versions(base) == [1, 2, 3, 4]


def test_a_lock_that_is_held_is_told_in_a_sentence(tmp_path):
    path = tmp_path / "lock"
    with (
        lock(path),
        pytest.raises(VersionError, match=r"Another command has held .*lock for 0\.1 s"),
        lock(path, timeout_s=0.1),
    ):
        pass
    with lock(path, timeout_s=0.1):
        pass


def test_a_base_path_that_is_no_folder_is_told(tmp_path, publish_stub):
    with pytest.raises(VersionError, match=r"is not a folder. Name the one that holds the version"):
        Store(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(PublishError, match=r"Nothing was published in .*file: File exists"):
        publish_stub(tmp_path / "file")
