"""`models.config`: read by the official parser, written whole, and changed as a running server accepts."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.release.labels import move_labels, remove_label, set_label
from serving.release.model_config import ConfigFile, Entry
from serving.versions import VersionError


@pytest.fixture
def config(base):
    return ConfigFile(base / "models.config", "brain_tumor", base)


@pytest.fixture
def label(store, config):
    """Set a label, with no server to wait for."""
    return lambda name, version: set_label(store, config, name, version, client=None, timeout_s=1)


def official(config):
    """The file's entries by model name, as TensorFlow Serving parses them."""
    parsed = text_format.Parse(config.path.read_text(), model_server_config_pb2.ModelServerConfig())
    assert parsed.WhichOneof("config") == "model_config_list"
    return {entry.name: entry for entry in parsed.model_config_list.config}


def test_labels_are_written_as_tensorflow_serving_reads_them(config, label, base):
    label("stable", 1)
    label("canary", 2)
    entry = official(config)["brain_tumor"]
    assert dict(entry.version_labels) == {"stable": 1, "canary": 2}
    assert list(entry.model_version_policy.specific.versions) == [1, 2]
    assert (entry.base_path, entry.model_platform) == (str(base), "tensorflow")
    assert config.read() == Entry({"stable": 1, "canary": 2}, frozenset({1, 2}))
    assert config.path.stat().st_mode & 0o444 == 0o444  # a server may run as somebody else


def test_only_labelled_versions_stay_loaded(config, label):
    label("canary", 2)
    label("stable", 2)
    label("other", 3)
    assert config.read().pinned == {2, 3}


def test_removing_the_last_label_lets_servers_load_the_newest_again(store, config, label):
    label("stable", 1)
    label("canary", 3)
    assert remove_label(store, config, "canary") == Entry({"stable": 1}, frozenset({1}))
    assert remove_label(store, config, "stable") == Entry({}, None)
    assert not official(config)["brain_tumor"].HasField("model_version_policy")


def test_a_label_moves_at_once_to_a_version_that_is_loaded(label, config):
    label("stable", 1)
    label("canary", 2)
    assert label("stable", 2) == Entry({"stable": 2, "canary": 2}, frozenset({2}))


def test_a_label_moves_in_two_steps_to_a_version_that_is_not(label, config):
    """TensorFlow Serving refuses a config that moves a label to a version which is not AVAILABLE."""
    label("stable", 1)
    with pytest.raises(VersionError, match=r"No label was moved yet.* loads 3 from now on: repeat"):
        label("stable", 3)
    assert config.read() == Entry({"stable": 1}, frozenset({1, 3}))
    assert label("stable", 3) == Entry({"stable": 3}, frozenset({3}))


def test_what_others_wrote_is_kept(store, config, label):
    config.path.write_text(
        """
        # our models
        model_config_list: {
          config: { name: "other", base_path: "/models/other", model_platform: "tensorflow",
                    model_version_policy: { all: {} } }
          config: { name: "brain_tumor", base_path: "/models/brain_tumor",
                    model_platform: "tensorflow",
                    model_version_policy: { specific: { versions: 3 } },
                    logging_config: { sampling_config: { sampling_rate: 0.1 } } }
        }
        """
    )
    assert label("stable", 1) == Entry({"stable": 1}, frozenset({1, 3}))
    entries = official(config)
    assert entries["other"].model_version_policy.HasField("all")
    assert entries["brain_tumor"].base_path == "/models/brain_tumor"
    assert entries["brain_tumor"].logging_config.sampling_config.sampling_rate == 0.1
    assert remove_label(store, config, "stable") == Entry({}, frozenset({3}))


@pytest.mark.parametrize("policy", ["all {}", "latest { num_versions: 2 }"])
def test_a_policy_that_names_no_versions_pins_none(config, policy):
    config.path.write_text(
        f'model_config_list {{ config {{ name: "brain_tumor" model_version_policy {{ {policy} }} }} }}'
    )
    assert config.read() == Entry({}, None)
    config.write(Entry({}, None))
    assert policy.split()[0] in config.path.read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model_config_list {", "is no model config in text format"),
        ("model_config_list { config { nome: 'x' } }", "is no model config in text format: .*nome"),
        ("custom_model_config {}", "holds a custom_model_config"),
    ],
)
def test_a_config_that_is_none_is_told_and_kept(config, label, text, told):
    config.path.write_text(text)
    with pytest.raises(VersionError, match=told):
        label("stable", 1)
    assert config.path.read_text() == text


def test_binary_garbage_is_told(config, label):
    config.path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VersionError, match="is no model config in text format"):
        label("stable", 1)


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("2", 2, "'2' is no label. Use a word such as stable or canary"),
        ("", 2, "'' is no label"),
        ("a b", 2, "'a b' is no label"),
        ("stable", 9, "There is no version 9"),
    ],
)
def test_bad_labels_are_told(label, config, name, version, told):
    with pytest.raises(VersionError, match=told):
        label(name, version)
    assert not config.path.exists()


def test_a_version_that_was_rolled_back_or_is_damaged_gets_no_label(store, label):
    with store.exclusive():
        store.withdraw(3)
    with pytest.raises(
        VersionError, match=r"There is no version 3 .* It was rolled back; `restore`"
    ):
        label("stable", 3)
    (store.path(2) / "saved_model.pb").chmod(0o644)
    (store.path(2) / "saved_model.pb").write_text("tampered")
    with pytest.raises(
        VersionError, match=r"Version 2 must not serve. DAMAGED: saved_model\.pb has"
    ):
        label("stable", 2)


def test_an_unknown_label_cannot_be_removed(store, config, label):
    with pytest.raises(VersionError, match="has no label canary; known: there is none"):
        remove_label(store, config, "canary")
    label("stable", 1)
    with pytest.raises(VersionError, match="has no label canary; known: stable"):
        remove_label(store, config, "canary")


def test_a_goal_that_is_reached_is_written_once_more_without_harm(store, config, label):
    label("stable", 1)
    before = config.path.read_text()
    move_labels(store, config, lambda entry: entry, client=None, timeout_s=1)
    assert config.path.read_text() == before
