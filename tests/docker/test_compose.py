"""Compose files: of the specification's schema, hardened, closed to other machines, and of known settings."""

import ipaddress
import json
import re
from dataclasses import fields

import pytest

from tests.docker.tools import DOCKER, compose, instructions, run, tool
from ui.settings import Settings

FILES = sorted(path.name for path in DOCKER.glob("compose*.yaml"))
PROFILES = {
    "serving": None,
    "ui": None,
    "proxy": "proxy",
    "prometheus": "monitoring",
    "probe": "monitoring",
    "grafana": "monitoring",
    "training": "training",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_keeps_to_the_compose_specification(name):
    check = ("--builtin-schema", "vendor.compose-spec")
    run(tool("check-jsonschema"), *check, DOCKER / name)


def test_without_a_profile_there_is_server_and_page_only():
    found = {name: service.get("profiles", [None])[0] for name, service in compose().items()}
    assert found == PROFILES


@pytest.mark.parametrize("name", PROFILES)
def test_a_service_may_do_nothing_that_it_need_not(name):
    service = compose("compose.gpu.yaml")[name]
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert not service.get("privileged")


@pytest.mark.parametrize("name", PROFILES)
def test_a_service_has_limits_and_a_health_check(name):
    service = compose("compose.gpu.yaml")[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    ours = "build" in service
    in_image = ours and "HEALTHCHECK" in dict(instructions(name))
    assert in_image or "healthcheck" in service
    assert ours or re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*", service["image"])


@pytest.mark.parametrize("name", PROFILES)
def test_ports_are_open_to_this_machine_only(name):
    for port in compose()[name].get("ports", []):
        address = port.rsplit(":", 2)[0]
        assert ipaddress.ip_address(address).is_loopback


def test_every_setting_of_the_page_exists():
    known = {f"UI_{field.name.upper()}" for field in fields(Settings)}
    image = dict(pair.split("=", 1) for pair in dict(instructions("ui"))["ENV"].split())
    given = image | compose("compose.labels.yaml")["ui"]["environment"]
    assert {name for name in given if name.startswith("UI_")} <= known


def test_the_page_believes_the_proxy_and_nobody_else():
    services = compose()
    address = services["proxy"]["networks"]["pages"]["ipv4_address"]
    assert services["ui"]["environment"]["UI_TRUSTED_PROXIES"] == address


@pytest.mark.parametrize("overrides", [(), ("compose.labels.yaml",), ("compose.gpu.yaml",)])
def test_the_model_server_has_cores_for_what_its_threads_and_batches_expect(overrides):
    serving = compose(*overrides)["serving"]
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in serving["command"])
    cores = serving["deploy"]["resources"]["limits"]["cpus"]
    assert flags["tensorflow_intra_op_parallelism"] == cores
    assert flags["tensorflow_inter_op_parallelism"] == cores
    assert flags["batching_parameters_file"] == f"/etc/serving/batching-{cores}-cores.config"


def test_no_batch_waits_for_threads():
    """Every request occupies a thread while it waits in a batch: as many as batches may hold, and more."""
    (entry,) = (text for name, text in instructions("serving") if name == "ENTRYPOINT")
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in json.loads(entry)[2:])
    waiting = 8 * 8  # max_enqueued_batches × max_batch_size of batching-2-cores.config
    running = 2 * 8  # num_batch_threads × max_batch_size
    assert int(flags["grpc_max_threads"]) >= waiting + running
    assert int(flags["rest_api_num_threads"]) >= waiting + running


@pytest.mark.parametrize("name", ["serving", "ui"])
def test_the_model_is_mounted_so_that_it_cannot_be_changed(name):
    (volume,) = compose()[name]["volumes"]
    assert volume == "../models/brain_tumor:/models/brain_tumor:ro"
