"""Misspelt variables are refused in every room; what Kubernetes sets by itself is not."""

import importlib

import cyclopts
import pytest

#: What a pod sees of Services called `serving` and `serving-canary`.
KUBERNETES = {
    "SERVING_SERVICE_HOST": "10.0.0.1",
    "SERVING_SERVICE_PORT": "8500",
    "SERVING_SERVICE_PORT_GRPC": "8500",
    "SERVING_PORT": "tcp://10.0.0.1:8500",
    "SERVING_PORT_8500_TCP": "tcp://10.0.0.1:8500",
    "SERVING_PORT_8500_TCP_PROTO": "tcp",
    "SERVING_PORT_8500_TCP_PORT": "8500",
    "SERVING_PORT_8500_TCP_ADDR": "10.0.0.1",
    "SERVING_CANARY_SERVICE_HOST": "10.0.0.2",
    "SERVING_CANARY_PORT": "tcp://10.0.0.2:8500",
}


def settings(room: str, *words: str):
    app = importlib.import_module(f"{room}.__main__").app
    _, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    return bound.arguments["settings"]


@pytest.mark.parametrize(
    ("room", "words", "variable"),
    [
        ("data", ["prepare", "x", "--out", "y"], "DATA_SEDE"),
        ("training", ["train", "--data", "d", "--run", "r"], "TRAINING_TRAIN_SEDE"),
        ("training", ["train", "--data", "d", "--run", "r"], "TRAINING_SEED"),
        ("serving", ["run", "--model-base-path", "m"], "SERVING_PROT"),
        ("ui", [], "UI_SEVER"),
    ],
)
def test_a_variable_that_nothing_reads_is_named(monkeypatch, room, words, variable) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(cyclopts.CycloptsError, match=f"Unknown environment variable: {variable}"):
        settings(room, *words)


def test_a_variable_of_another_command_is_known(monkeypatch) -> None:
    monkeypatch.setenv("SERVING_REST_API_PORT", "9001")
    monkeypatch.setenv("TRAINING_TUNE_TRIALS", "3")
    assert settings("serving", "predict", "a.png", "--version", "2").version == 2
    assert settings("serving", "run", "--model-base-path", "m").rest_api_port == 9001
    assert settings("training", "train", "--data", "d", "--run", "r").seed == 2024


def test_what_kubernetes_sets_is_no_setting(monkeypatch) -> None:
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SERVING_REST_API_PORT", "9001")
    got = settings("serving", "run", "--model-base-path", "m")
    assert (got.port, got.rest_api_port) == (8500, 9001)
    monkeypatch.setenv("SERVING_PORT", "9000")
    assert settings("serving", "run", "--model-base-path", "m").port == 9000
