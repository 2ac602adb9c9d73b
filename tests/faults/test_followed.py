"""A version that fails, and a way back: what the real servers serve, count and raise an alarm about."""

import re
import shutil
from pathlib import Path

import pytest
import requests
import yaml

import serving.local.loader
from serving.local.config import ModelConfig
from serving.local.loader import ModelLoader, PollSettings, State
from serving.local.metrics import Metrics
from serving.local.servable import Servable
from serving.release.model_config import DEFAULT_NAME, ConfigFile
from serving.release.rollback import rollback
from serving.release.store import Store, new_version
from serving.versions import list_versions
from tests.conftest import ROOT, RunningServer, Serve, eventually
from tests.docker.tools import run, tool
from tests.serving.conftest import write_tiny_model
from tests.serving.release.conftest import write_warmup
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.pictures import DIM, picture, send

MODEL = "brain_tumor"
ALERTS = ROOT / "docker" / "monitoring" / "alerts.yml"


def test_a_failed_warm_up_raises_the_alarm_and_the_old_version_answers(
    serve: Serve, run_front_end: RunFrontEnd, tmp_path: Path
) -> None:
    base = tmp_path / "models"
    write_tiny_model(base, 1)
    bad = write_tiny_model(tmp_path, 2)
    write_warmup(bad, ["none_such"])
    monitoring = ROOT / "serving" / "config" / "monitoring.config"
    flags = ("--monitoring_config_file", str(monitoring), "--max_num_load_retries", "0")
    flags += ("--file_system_poll_wait_seconds", "0.1")
    with (
        serve(base, *flags) as server,
        run_front_end("--server", server.grpc, *NO_RATE) as page,
    ):
        before = _loads(server)
        bad.rename(base / "2")
        eventually(lambda: server.versions().get(2) == "END", "version 2 is given up")
        after = _loads(server)
        assert send(page.http, picture(DIM)).json()["model"]["version"] == 1
    run(tool("promtool"), "test", "rules", _alarm_after_ten_minutes(before, after, tmp_path))


def _loads(server: RunningServer) -> dict[str, str]:
    """The series of `load_attempt_count` and their values."""
    text = requests.get(f"{server.rest}/monitoring/prometheus/metrics", timeout=60).text
    name = r":tensorflow:cc:saved_model:load_attempt_count\{.*\}"
    return dict(re.findall(rf"^({name}) (\d+)$", text, re.MULTILINE))


def _alarm_after_ten_minutes(before: dict[str, str], after: dict[str, str], folder: Path) -> Path:
    """A test for promtool: the rules raise the alarm when the series change, and not before."""
    (rule,) = (
        rule
        for group in yaml.safe_load(ALERTS.read_text())["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "VersionNotLoaded"
    )
    alarm = {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
    test = {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": f"{before.get(name, '_')}x9 {value}x9"}
            for name, value in after.items()
        ],
        "alert_rule_test": [
            {"alertname": rule["alert"], "eval_time": "8m", "exp_alerts": []},
            {"alertname": rule["alert"], "eval_time": "11m", "exp_alerts": [alarm]},
        ],
    }
    cases = folder / "alerts_test.yml"
    document = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}
    cases.write_text(yaml.safe_dump(document))
    return cases


def test_a_rollback_is_effective_within_two_polls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, written = tmp_path / "models", write_tiny_model(tmp_path, 1)
    for _ in range(2):
        with new_version(base) as (folder, _):
            shutil.copytree(written, folder, dirs_exist_ok=True)
    polls: list[dict[int, State]] = []  # what served when each of them began

    def listed(path: Path) -> list[int]:
        polls.append({version: one.state for version, one in loader.status().items()})
        return list_versions(path)

    monkeypatch.setattr(serving.local.loader, "list_versions", listed)
    loader = ModelLoader(
        ModelConfig(MODEL, base),
        PollSettings(poll_s=0.05, retries=0, retry_s=1),
        lambda name, path, version: Servable(name, path, version, Metrics()),
    )
    loader.start()
    eventually(lambda: polls and polls[-1].get(2) is State.AVAILABLE, "version 2 serves")
    config = ConfigFile(base / DEFAULT_NAME, MODEL, base)
    rollback(Store(base), config, 1, client=None, timeout_s=60)
    begun = len(polls)
    eventually(lambda: len(polls) > begun + 2, "two more polls are over")
    loader.stop(60)
    assert polls[begun + 2] == {1: State.AVAILABLE, 2: State.END}
