"""The examples in `serving/README.md`, cut out of it and run against a real server."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from data.imaging import prepare_scan, read_scan
from serving.settings import RunSettings
from tests.conftest import ROOT

SCAN = "data/samples/yes/cheng_0577_meningioma.jpg"
PIECES = {
    found["name"]: found["text"]
    for found in re.finditer(
        r"^```\w+\n(?P<text>(?:#|//) (?P<name>\S+\.(?:py|sh|mjs))\n.*?)^```$",
        (ROOT / "serving" / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
}


@pytest.fixture(scope="module")
def expected() -> float:
    """What the tiny model says of the scan: its mean brightness."""
    return prepare_scan(read_scan(ROOT / SCAN)).mean() / 255


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A folder like a clone's root, in which the examples may write."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "serving" / "examples").mkdir(parents=True)
    (folder / "serving" / "wire").symlink_to(ROOT / "serving" / "wire")
    shutil.copytree(
        ROOT / "serving" / "examples" / "node",
        folder / "serving" / "examples" / "node",
        ignore=shutil.ignore_patterns("node_modules"),
    )
    return folder


@pytest.fixture(scope="module")
def run(clone, tiny_server):
    """A function that runs an example by its name and returns what it prints."""

    def run_example(name: str) -> str:
        text = PIECES[name].replace("http://127.0.0.1:8501", tiny_server.rest)
        text = text.replace("127.0.0.1:8500", tiny_server.grpc)
        script = clone / "serving" / "examples" / "node" / name
        script.write_text(text, encoding="utf-8")
        program = {".py": sys.executable, ".sh": "sh", ".mjs": "node"}[script.suffix]
        done = subprocess.run(
            [program, str(script)],
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_example


@pytest.fixture(scope="module")
def pixels(run, clone) -> bytes:
    """The file that the examples in other languages read."""
    run("pixels.py")
    return (clone / "scan.rgb").read_bytes()


@pytest.fixture(scope="module")
def node() -> None:
    """Node is there."""
    need(
        shutil.which("node") and shutil.which("npm"),
        "node and npm are missing; .ci/run installs them",
    )


@pytest.fixture(scope="module")
def packages(node, clone) -> None:
    """Node's packages, by the versions and digests in the lock."""
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=clone / "serving" / "examples" / "node",
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    need(done.returncode == 0, f"npm cannot install the packages: {done.stderr[-500:]}")


def need(condition, reason):
    """Skip, but not where everything must be there."""
    if not condition:
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)


def test_every_example_is_run_here():
    assert set(PIECES) == {
        *("sync.py", "async.py", "pixels.py"),
        *("predict.sh", "rest.mjs", "grpc.mjs"),
    }


def test_the_client(run, expected):
    first, second = run("sync.py").splitlines()
    version, label, risk, probability, known = first.split()
    assert (version, label, risk, known) == ("1", *decision(expected), "True")
    assert float(probability) == pytest.approx(expected, abs=1e-5)
    assert "Thresholds(low=0.2, label=0.5, high=0.8)" in second


def test_the_asynchronous_client(run):
    both = [line.split(" ", 1) for line in run("async.py").splitlines()]
    assert [version for version, _ in both] == ["1", "1"]
    predicted, explained = (json.loads(probabilities) for _, probabilities in both)
    paths = sorted((ROOT / "data/samples/yes").iterdir())
    brightness = [prepare_scan(read_scan(path)).mean() / 255 for path in paths]
    assert predicted == pytest.approx(brightness, abs=1e-5)
    assert explained == pytest.approx(brightness[:1], abs=1e-5)


def test_the_pixels(pixels):
    assert pixels == prepare_scan(read_scan(ROOT / SCAN)).tobytes()


def test_curl(run, pixels, expected):
    need(shutil.which("curl"), "curl is missing; .ci/run installs it")
    (row,) = json.loads(run("predict.sh"))["predictions"]
    assert row["probability"] == pytest.approx(expected, abs=1e-5)
    assert (row["label"], row["risk"], row["error"]) == (*decision(expected), "")


def test_node_over_rest(node, run, pixels, expected):
    label, risk, probability, known = run("rest.mjs").split()
    assert (label, risk, known) == (*decision(expected), "true")
    assert float(probability) == pytest.approx(expected, abs=1e-5)


def test_node_over_grpc(packages, run, pixels, expected):
    version, label, risk, probability, known = run("grpc.mjs").split()
    assert (version, label, risk, known) == ("1", *decision(expected), "true")
    assert float(probability) == pytest.approx(expected, abs=1e-5)


def test_the_lock_of_node_names_versions_and_digests_and_no_host():
    lock = json.loads((ROOT / "serving/examples/node/package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert {"node_modules/@grpc/grpc-js", "node_modules/@grpc/proto-loader"} <= set(packages)
    assert all("integrity" in one and "resolved" not in one for one in packages.values())


def test_the_table_of_costs_is_what_its_command_prints():
    done = subprocess.run(
        [sys.executable, "-m", "serving.examples.wire_cost", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    table = re.search(
        r"^\| way .*?(?=\n\n)", (ROOT / "serving/README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    stated, measured = sizes(table[0]), sizes(done.stdout)
    assert len(measured) == 5
    # Compressors differ a little between builds.
    assert stated == {name: pytest.approx(size, rel=0.1) for name, size in measured.items()}
    assert {n: s for n, s in stated.items() if "gzip" not in n and "PNG" not in n}.items() <= (
        measured.items()
    )
    assert stated["REST, `rgb`: base64 of the bytes"] <= 210_000


def sizes(table: str) -> dict[str, int]:
    """Bytes a scan by way, from a table in Markdown."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {name: int(size.replace(",", "")) for name, size, _ in rows}


def decision(probability: float) -> tuple[str, str]:
    """Label and risk of the tiny model."""
    risk = "low" if probability < 0.2 else "medium" if probability < 0.8 else "high"
    return ("tumor" if probability >= 0.5 else "no_tumor"), risk


def test_the_table_of_the_local_servers_flags_is_complete():
    text = (ROOT / "serving" / "README.md").read_text(encoding="utf-8")
    table = re.search(r"^\| flags \|.*?(?=\n\n)", text, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"--([a-z_]+)", table[0])
    assert sorted(listed) == sorted(field.name for field in fields(RunSettings))
