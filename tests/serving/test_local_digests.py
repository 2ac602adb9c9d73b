"""A version that was tampered with is not served; what served before goes on."""

import shutil

import requests

from serving.release.digest import MANIFEST, write_manifest
from tests.conftest import eventually

QUICK = ("--file_system_poll_wait_seconds", "0.1", "--max_num_load_retries", "0")


def changed(version, _other):
    """One bit of one weight."""
    (weights,) = (version / "variables").glob("*.data-*")
    data = bytearray(weights.read_bytes() or b"\0")
    data[-1] ^= 1
    weights.write_bytes(data)
    return f"{weights.relative_to(version)} has changed"


def missing(version, _other):
    (version / "fingerprint.pb").unlink()
    return "fingerprint.pb is missing"


def added(version, _other):
    (version / "assets" / "more.bin").write_bytes(b"x")
    return "assets/more.bin is not listed"


def swapped(version, other):
    """The digests of another version, whole in itself."""
    shutil.copy(other / MANIFEST, version / MANIFEST)
    return "saved_model.pb has changed"


TAMPERINGS = (changed, missing, added, swapped)


def test_a_tampered_version_is_refused_and_the_old_one_goes_on(serve, write_model, tmp_path):
    base = tmp_path / "models"
    one = write_model(base, 1)
    write_manifest(one)
    with serve(base, *QUICK, "--monitoring_config_file", str(_monitoring(tmp_path))) as server:
        for version, tamper in enumerate(TAMPERINGS, 2):
            candidate = write_model(tmp_path / "staged", version, bias=version / 100)
            (candidate / "assets").mkdir(exist_ok=True)
            write_manifest(candidate)
            told = tamper(candidate, one)
            candidate.rename(base / str(version))
            eventually(
                lambda version=version: server.versions().get(version) == "END",
                f"version {version} is refused",
            )
            status = requests.get(f"{server.rest}/v1/models/{server.model_name}", timeout=60)
            rows = {row["version"]: row for row in status.json()["model_version_status"]}
            error = rows[str(version)]["status"]["error_message"]
            assert "DAMAGED" in error
            assert told in error
            assert told in server.log.read_text()
            metrics = requests.get(f"{server.rest}/metrics", timeout=60).text
            counted = "load_attempt_count{model_path="
            assert f'{counted}"{base / str(version)}",status="fail"}} 1' in metrics
            assert rows["1"]["state"] == "AVAILABLE"
        # Made whole again, the one with a file too many serves without a restart.
        write_manifest(base / "4")
        server.wait_for(4)


def test_a_tampered_newest_version_is_passed_over_at_the_start(serve, write_model, tmp_path):
    for version in (1, 2):
        write_manifest(write_model(tmp_path, version))
    changed(tmp_path / "2", None)
    with serve(tmp_path, *QUICK, wait=False) as server:
        assert server.wait_for() == 1
        assert server.versions()[2] == "END"


def test_a_version_without_digests_is_served_and_that_is_told(tiny_server):
    assert "no SHA256SUMS: published without a digest" in tiny_server.log.read_text()


def _monitoring(folder):
    path = folder / "monitoring.config"
    path.write_text('prometheus_config { enable: true, path: "/metrics" }')
    return path
