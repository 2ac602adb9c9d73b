"""Kubernetes: overlays build, keep to the schemas, and their parts find each other."""

import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.docker.tools import DOCKER, manifests, run, tool

KUBERNETES = DOCKER / "kubernetes"
OVERLAYS = sorted(
    path.parent.name for path in DOCKER.glob("kubernetes/overlays/*/kustomization.yaml")
)
RELEASE = "1.37"
Objects = dict[tuple[str, str], dict[str, Any]]
#: Fields of KServe's predictor beside those of a pod: v1beta1.PredictorSpec, ComponentExtensionSpec.
KSERVE = {
    "minReplicas",
    "maxReplicas",
    "scaleMetric",
    "scaleTarget",
    "canaryTrafficPercent",
    "model",
}
KSERVE_MODEL = {"modelFormat", "runtime", "protocolVersion", "storageUri"}


def test_there_is_one_for_cpus_and_one_for_gpus():
    assert OVERLAYS == ["cpu", "gpu"]


VARIANTS = [
    "cpu with labels",
    "gpu with labels",
    "cpu with object-store",
    "gpu with labels with object-store",
]


@pytest.fixture(scope="module", params=[*OVERLAYS, *VARIANTS])
def objects(request, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """What an overlay makes, by kind and name; with a component also."""
    overlay, *components = request.param.split(" with ")
    folder = tmp_path_factory.mktemp("overlay")
    above = Path(os.path.relpath(KUBERNETES, folder))
    lines = {
        "resources": [str(above / "overlays" / overlay)],
        "components": [str(above / "components" / name) for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(lines))
    built = run(tool("kubectl"), "kustomize", folder)
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(built)}


def pod(objects: Objects, name: str) -> dict[str, Any]:
    return objects["Deployment", name]["spec"]["template"]


def container(objects: Objects, name: str) -> dict[str, Any]:
    (only,) = pod(objects, name)["spec"]["containers"]
    return only


def test_everything_keeps_to_the_schema(objects):
    for one in objects.values():
        kubernetes_validate.validate(one, RELEASE, strict=True)


def test_the_schemas_are_able_to_refuse():
    wrong = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"prots": []},
    }
    with pytest.raises(kubernetes_validate.ValidationError, match="prots"):
        kubernetes_validate.validate(wrong, RELEASE, strict=True)


@pytest.mark.parametrize("name", ["serving", "ui"])
def test_services_budgets_and_scales_are_of_their_pods(objects, name):
    labels = pod(objects, name)["metadata"]["labels"]
    ports = {port["name"] for port in container(objects, name)["ports"]}
    service = objects["Service", name]["spec"]
    assert service["selector"].items() <= labels.items()
    assert {port["targetPort"] for port in service["ports"]} == ports
    budget = objects["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"]
    assert budget.items() <= labels.items()
    scale = objects.get(("HorizontalPodAutoscaler", name))
    replicas = objects["Deployment", name]["spec"].get("replicas")
    # Who scales says how many there are: one of the two.
    assert (scale is None) is (replicas is not None)
    if scale is not None:
        assert scale["spec"]["scaleTargetRef"]["name"] == name
        assert scale["spec"]["minReplicas"] >= 2


@pytest.mark.parametrize("name", ["serving", "ui"])
def test_a_rollout_never_takes_one_away_before_another_is_ready(objects, name):
    strategy = objects["Deployment", name]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}
    spec = pod(objects, name)["spec"]
    drain = container(objects, name)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 5 <= drain < spec["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", ["serving", "ui"])
def test_pods_may_do_nothing_that_they_need_not(objects, name):
    spec = pod(objects, name)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for one in [*spec["containers"], *spec.get("initContainers", [])]:
        security = one["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert one["resources"].keys() == {"requests", "limits"}


def test_the_server_is_not_process_one(objects):
    """Else it would ignore SIGTERM, for which it has no handler, and be killed a minute later."""
    assert pod(objects, "serving")["spec"]["shareProcessNamespace"] is True


def test_the_server_is_ready_once_the_model_is(objects):
    serving = container(objects, "serving")
    for probe in ("startupProbe", "readinessProbe"):
        assert serving[probe]["exec"]["command"] == ["model_available"]


def test_models_are_read_only(objects):
    mount = next(m for m in container(objects, "serving")["volumeMounts"] if m["name"] == "models")
    assert mount["readOnly"] is True
    volume = next(v for v in pod(objects, "serving")["spec"]["volumes"] if v["name"] == "models")
    if "emptyDir" in volume:  # filled by a container beside the server
        (beside,) = pod(objects, "serving")["spec"]["initContainers"]
        assert mount["mountPath"] in [m["mountPath"] for m in beside["volumeMounts"]]
        assert not [name for kind, name in objects if kind == "PersistentVolumeClaim"]
    else:
        claim = volume["persistentVolumeClaim"]["claimName"]
        assert ("PersistentVolumeClaim", claim) in objects
    flags = container(objects, "serving")["args"]
    assert [
        flag for flag in flags if flag.startswith(("--model_base_path", "--model_config_file="))
    ]
    assert any(
        flag.split("=", 1)[1].startswith(mount["mountPath"] + "/brain_tumor") for flag in flags
    )


def test_the_page_reaches_the_server_and_the_names_only(objects):
    policy = objects["NetworkPolicy", "ui"]["spec"]
    assert (
        policy["podSelector"]["matchLabels"].items()
        <= pod(objects, "ui")["metadata"]["labels"].items()
    )
    to_server, to_names = policy["egress"]
    selected = to_server["to"][0]["podSelector"]["matchLabels"]
    assert selected.items() <= pod(objects, "serving")["metadata"]["labels"].items()
    assert {port["port"] for port in to_names["ports"]} == {53}
    assert objects["NetworkPolicy", "nothing-else"]["spec"]["podSelector"] == {}
    server, port = next(
        one["value"] for one in container(objects, "ui")["env"] if one["name"] == "UI_SERVER"
    ).split(":")
    assert int(port) in [p["port"] for p in objects["Service", server]["spec"]["ports"]]


def test_with_labels_the_page_asks_for_one_of_them(objects):
    flags = container(objects, "serving")["args"]
    variables = {one["name"]: one["value"] for one in container(objects, "ui")["env"]}
    labelled = "--model_config_file=/models/brain_tumor/models.config" in flags
    assert (variables.get("UI_VERSION_LABEL") == "stable") is labelled
    assert ("--model_name=brain_tumor" in flags) is not labelled


def test_a_gpu_is_asked_for_by_the_gpu_overlay_alone(objects):
    image = container(objects, "serving")["image"]
    limits = container(objects, "serving")["resources"]["limits"]
    assert image.endswith("-gpu") is ("nvidia.com/gpu" in limits)


def test_kserve_manifests_hold_what_a_pod_may_and_what_kserve_adds():
    runtime, service = manifests(DOCKER / "kubernetes" / "kserve" / "inference-service.yaml")
    assert (runtime["apiVersion"], runtime["kind"]) == (
        "serving.kserve.io/v1alpha1",
        "ServingRuntime",
    )
    assert (service["apiVersion"], service["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    _validate_pod({"containers": runtime["spec"]["containers"]})
    predictor = service["spec"]["predictor"]
    _validate_pod(
        {"containers": runtime["spec"]["containers"]}
        | {k: v for k, v in predictor.items() if k not in KSERVE}
    )
    assert predictor["model"].keys() <= KSERVE_MODEL
    assert predictor["model"]["runtime"] == runtime["metadata"]["name"]
    formats = [one["name"] for one in runtime["spec"]["supportedModelFormats"]]
    assert predictor["model"]["modelFormat"]["name"] in formats
    assert predictor["model"]["protocolVersion"] in runtime["spec"]["protocolVersions"]


def _validate_pod(spec: dict[str, Any]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
    kubernetes_validate.validate(pod, RELEASE, strict=True)


def test_manifests_are_all_used():
    """A file that no kustomization names is checked by nobody."""
    for folder in (DOCKER / "kubernetes").rglob("kustomization.yaml"):
        named = _named(folder)
        beside = {path.name for path in folder.parent.glob("*.yaml")} - {"kustomization.yaml"}
        assert beside == named


def _named(path: Path) -> set[str]:
    (one,) = manifests(path)
    patches = {patch["path"] for patch in one.get("patches", []) if "path" in patch}
    return {name for name in one.get("resources", []) if name.endswith(".yaml")} | patches
