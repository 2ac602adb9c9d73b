"""Configuration files as text: those that are shipped, and what is refused in which words."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.local.config import (
    PROMETHEUS_PATH,
    ConfigError,
    VersionPolicy,
    read_batching,
    read_credentials,
    read_models,
    read_monitoring,
)
from tests.conftest import ROOT
from training.export import BATCH_SIZES

CONFIG = ROOT / "serving" / "config"


@pytest.mark.parametrize("cores", [2, 8, 32])
def test_shipped_batching_parameters_allow_only_sizes_that_are_warmed_up(cores):
    parameters = read_batching(CONFIG / f"batching-{cores}-cores.config")
    assert set(parameters.allowed_batch_sizes) <= set(BATCH_SIZES)
    assert parameters.allowed_batch_sizes[-1] == parameters.max_batch_size
    assert parameters.num_batch_threads <= cores


def test_shipped_monitoring_is_on_where_tensorflow_serving_has_it():
    assert read_monitoring(CONFIG / "monitoring.config") == PROMETHEUS_PATH


def test_shipped_models_are_official_text():
    path = CONFIG / "models.config"
    official = text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())
    (model,) = official.model_config_list.config
    (read,) = read_models(path)
    assert (read.name, str(read.base_path)) == (model.name, model.base_path)
    assert read.labels == {"stable": 1, "canary": 2}
    assert read.policy == VersionPolicy(newest=2)


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        ("", [7]),
        ("latest { num_versions: 2 }", [3, 7]),
        ("all {}", [1, 3, 7]),
        ("specific { versions: 1 versions: 3 versions: 9 }", [1, 3]),
    ],
)
def test_version_policies(tmp_path, policy, chosen):
    file = tmp_path / "models.config"
    policy = f"model_version_policy {{ {policy} }}" if policy else ""
    file.write_text(f'model_config_list {{ config {{ name: "m" base_path: "/m" {policy} }} }}')
    (model,) = read_models(file)
    assert model.policy.choose([1, 3, 7]) == chosen


def write(folder: Path, text: str) -> Path:
    file = folder / "file.config"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (
            read_models,
            "nonsense {}",
            'is not a ModelServerConfig as text: .* no field named "nonsense"',
        ),
        (read_models, "", "Only ModelConfigList is currently supported"),
        (read_models, 'model_config_list { config { name: "m" } }', "needs a name and a base_path"),
        (
            read_models,
            'model_config_list { config { name: "m" base_path: "/a" } '
            'config { name: "m" base_path: "/b" } }',
            "Illegal to list model m multiple times",
        ),
        (
            read_models,
            'model_config_list { config { name: "m" base_path: "/a" model_platform: "caffe" } }',
            "unsupported platform caffe",
        ),
        (read_batching, "pad_variable_length_inputs: true", "no field named"),
        (
            read_batching,
            "max_batch_size { value: 4 } allowed_batch_sizes: 2",
            "the last of allowed_batch_sizes must equal max_batch_size",
        ),
        (read_credentials, "client_verify: true", "needs server_key and server_cert"),
    ],
)
def test_what_a_file_may_not_say(tmp_path, read, text, words):
    with pytest.raises(ConfigError, match=words):
        read(write(tmp_path, text))


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere cannot be read: .*No such file"):
        read_models(tmp_path / "nowhere")


def test_batching_parameters_left_out_are_tensorflow_servings_defaults(tmp_path):
    parameters = read_batching(write(tmp_path, ""))
    assert (parameters.max_batch_size, parameters.batch_timeout_micros) == (1000, 0)
    assert (parameters.max_enqueued_batches, parameters.allowed_batch_sizes) == (10, ())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", None),
        ("prometheus_config { enable: true }", PROMETHEUS_PATH),
        ('prometheus_config { enable: true path: "/m" }', "/m"),
        ('prometheus_config { enable: false path: "/m" }', None),
    ],
)
def test_monitoring_is_off_unless_enabled(tmp_path, text, path):
    assert read_monitoring(write(tmp_path, text)) == path
