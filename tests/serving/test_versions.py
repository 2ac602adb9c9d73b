"""Version directories are listed as TensorFlow Serving sees them."""

from serving.versions import list_versions


def make(base, name, *, whole=True):
    folder = base / name
    folder.mkdir(parents=True)
    if whole:
        (folder / "saved_model.pb").touch()


def test_only_positive_integers_with_a_model_are_versions(tmp_path):
    for name in ("1", "10", "2", "007", "0", "-3", "v4", "5.0", "²", ".versions"):
        make(tmp_path, name)
    make(tmp_path, "11", whole=False)
    assert list_versions(tmp_path) == [1, 2, 10]
    assert list_versions(tmp_path / "absent") == []
