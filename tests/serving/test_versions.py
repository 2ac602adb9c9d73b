"""Version directories: listed as TensorFlow Serving sees them, added whole or not at all."""

import pytest

from serving.versions import PublishError, list_versions, new_version, next_version


def make(base, name, *, whole=True):
    folder = base / name
    folder.mkdir(parents=True)
    if whole:
        (folder / "saved_model.pb").touch()


def test_only_positive_integers_with_a_model_are_versions(tmp_path):
    for name in ("1", "10", "2", "007", "0", "-3", "v4", "5.0", ".tmp-9-x"):
        make(tmp_path, name)
    make(tmp_path, "11", whole=False)
    assert list_versions(tmp_path) == [1, 2, 10]
    assert list_versions(tmp_path / "absent") == []


def test_a_number_is_not_reused_even_if_its_directory_is_no_model(tmp_path):
    assert next_version(tmp_path) == 1
    make(tmp_path, "3")
    make(tmp_path, "8", whole=False)
    assert next_version(tmp_path) == 9


def test_a_version_appears_whole(tmp_path):
    with new_version(tmp_path) as (folder, version):
        (folder / "saved_model.pb").write_bytes(b"model")
        assert list_versions(tmp_path) == []
    assert version == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o755


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail():
        with new_version(tmp_path) as (folder, _):
            (folder / "saved_model.pb").touch()
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_version_without_a_model_is_refused(tmp_path):
    with (
        pytest.raises(PublishError, match=r"No saved_model\.pb was written for version 1"),
        new_version(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_of_two_publishers_one_gets_the_number_and_the_other_an_error(tmp_path):
    def race():
        with new_version(tmp_path) as (folder, _):
            (folder / "saved_model.pb").touch()
            make(tmp_path, "1")

    with pytest.raises(PublishError, match="Version 1 appeared"):
        race()
    assert list_versions(tmp_path) == [1]
