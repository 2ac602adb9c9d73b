"""Monitoring: rules that fire when they should, on metrics that exist, in a dashboard that asks for them."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from tests.conformance import recorded
from tests.conftest import ROOT, eventually
from tests.docker.tools import DOCKER, run, tool
from tests.docker.topology import Topology

MONITORING = DOCKER / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana" / "brain-tumour.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"] for rule in RULES if "alert" in rule}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in PANELS for target in panel["targets"]
]


def names(expression: str) -> set[str]:
    """Names of the metrics that a PromQL expression asks for."""
    # As the parser writes it out, a selector is a name before a brace or a bracket, and nothing else is.
    written = re.sub(r'"[^"]*"', "", str(promql_parser.parse(expression)))
    return set(re.findall(r"([A-Za-z_:][\w:]*)[{\[]", written))


def test_names_are_found():
    asked = 'sum by (le) (rate(a:b_bucket[5m])) / 1e6 > on () group_left () c{d="e{"} or vector(0)'
    assert names(asked) == {"a:b_bucket", "c"}


def test_prometheus_accepts_configuration_and_rules():
    checked = run(tool("promtool"), "check", "config", MONITORING / "prometheus.yml")
    assert f"{len(RULES)} rules found" in checked


def test_the_probe_accepts_its_configuration():
    config = MONITORING / "blackbox.yml"
    run(tool("prometheus-blackbox-exporter"), "--config.check", "--config.file", config)


def test_alerts_come_when_they_should_and_not_before():
    cases = Path(__file__).parent / "alerts_test.yml"
    run(tool("promtool"), "test", "rules", cases)
    asked = [
        case
        for test in yaml.safe_load(cases.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    assert {case["alertname"] for case in asked if case["exp_alerts"]} == ALERTS
    assert {case["alertname"] for case in asked if not case["exp_alerts"]} == ALERTS


def test_the_runbook_knows_every_alert():
    headings = re.findall(r"^### (\w+)$", (DOCKER / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert set(headings) == ALERTS


def test_the_runbook_knows_every_error_of_the_page():
    """Codes that come with 5xx, as the page's own description of errors has them."""
    source = (ROOT / "ui" / "failures.py").read_text()
    codes = set(re.findall(r'\b50\d,\s*"(\w+)"', source)) - {"internal_error"}
    assert len(codes) >= 8
    assert codes <= set(re.findall(r"`(\w+)`", (DOCKER / "RUNBOOK.md").read_text()))


def test_every_metric_of_rules_and_dashboard_exists(
    topology: Topology, samples: dict[str, list[Path]]
):
    answered = topology.page.post("/", files={"file": samples["yes"][0].read_bytes()})
    assert answered.status_code == 200
    recorded_here = {rule["record"] for rule in RULES if "record" in rule}
    asked = set().union(*map(names, EXPRESSIONS)) - recorded_here

    def missing() -> set[str]:
        return asked - _known(topology)

    eventually(lambda: not missing(), f"Prometheus had {missing()}", timeout_s=60)


def _known(topology: Topology) -> set[str]:
    """Names that have values, and those that a server declares, for what has not happened yet."""
    known = set(topology.prometheus.get("/api/v1/label/__name__/values").json()["data"])
    for name, entries in topology.prometheus.get("/api/v1/metadata").json()["data"].items():
        histogram = entries[0]["type"] == "histogram"
        known |= {name + end for end in ("_bucket", "_sum", "_count")} if histogram else {name}
    return known


def test_an_answer_counts_once_in_the_distribution(
    topology: Topology, samples: dict[str, list[Path]]
):
    def counted() -> dict[str, float]:
        page = topology.page.get("/metrics").text
        rows = re.findall(
            r'^brain_tumor_ui_probability_bucket\{le="(.+)"\} (.+)$', page, re.MULTILINE
        )
        return {bound: float(count) for bound, count in rows}

    before = counted()
    answer = topology.page.post("/", files={"file": samples["yes"][0].read_bytes()}).json()
    assert answer["in_distribution"]
    grown = {bound for bound, count in counted().items() if count == before[bound] + 1}
    assert grown == {bound for bound in before if float(bound) >= answer["probability"]}


def test_every_query_is_one_that_prometheus_answers(topology: Topology):
    for expression in EXPRESSIONS:
        answer = topology.prometheus.get("/api/v1/query", params={"query": expression})
        assert answer.json()["status"] == "success", (expression, answer.text)


def test_every_target_is_up_and_the_model_available(topology: Topology):
    def states() -> dict[str, str]:
        targets = topology.prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
        return {one["labels"]["job"]: one["health"] for one in targets}

    expected = dict.fromkeys(("serving", "ui", "model", "page"), "up")
    eventually(lambda: states() == expected, "all targets were up", timeout_s=60)

    def probes() -> dict[str, str]:
        rows = topology.prometheus.get("/api/v1/query", params={"query": "probe_success"}).json()
        return {row["metric"]["job"]: row["value"][1] for row in rows["data"]["result"]}

    both = {"model": "1", "page": "1"}
    eventually(lambda: probes() == both, "model and page were available", timeout_s=60)


def test_names_of_the_model_server_are_those_that_tensorflow_serving_has():
    """The local server stands in for it above: what it has more would be missing in production."""
    page = recorded.exchange("Prometheus text (lines of the server itself)", "REST")["body"]
    kinds = {line.split()[2] for line in page if line.startswith("# TYPE")}
    asked = {name for name in set().union(*map(names, EXPRESSIONS)) if name.startswith(":")}
    of_the_runtime = {
        ":tensorflow:cc:saved_model:load_attempt_count"
    }  # TensorFlow's own, not recorded
    for name in asked - of_the_runtime:
        assert re.sub(r"_(bucket|sum|count)$", "", name) in kinds or name in kinds


def test_the_dashboard_is_one_that_grafana_loads():
    assert DASHBOARD["uid"] == "brain-tumour"
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    (source,) = yaml.safe_load((MONITORING / "grafana" / "datasource.yml").read_text())[
        "datasources"
    ]
    for panel in PANELS:
        assert panel["datasource"]["uid"] == source["uid"]
        assert _overlaps(panel) == []


def _overlaps(panel: dict[str, Any]) -> list[str]:
    a = panel["gridPos"]
    return [
        other["title"]
        for other in DASHBOARD["panels"]
        if other is not panel
        and a["x"] < other["gridPos"]["x"] + other["gridPos"]["w"]
        and other["gridPos"]["x"] < a["x"] + a["w"]
        and a["y"] < other["gridPos"]["y"] + other["gridPos"]["h"]
        and other["gridPos"]["y"] < a["y"] + a["h"]
    ]
