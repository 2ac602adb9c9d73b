"""A container does not start on a version that was tampered with."""

import shutil
import subprocess

import pytest

from tests.docker.tools import DOCKER


@pytest.fixture
def base(models, tmp_path):
    for version in ("1", "3"):  # one without digests, one with
        shutil.copytree(models / version, tmp_path / version)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755)
    return tmp_path


def start(flag):
    """Start what only says that it runs, in the server's place."""
    command = [DOCKER / "if_whole.sh", "/bin/echo", "runs", flag]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(params=["--model_base_path={0}", "--model_config_file={0}/models.config"])
def flag(request, base):
    return request.param.format(base)


def changed(version):
    data = bytearray((version / "saved_model.pb").read_bytes())
    data[1000] ^= 1
    (version / "saved_model.pb").write_bytes(data)


def missing(version):
    (version / "variables" / "variables.index").unlink()


def added(version):
    (version / "assets.extra" / "more").touch()


def linked(version):
    (version / "more").symlink_to("/etc/passwd")


def swapped(version):
    sums = version / "SHA256SUMS"
    sums.write_text(sums.read_text().replace("saved_model.pb", "fingerprint.pb", 1))


def emptied(version):
    (version / "SHA256SUMS").write_text("")


def test_whole_versions_and_those_without_digests_are_served(base, flag):
    done = start(flag)
    assert (done.returncode, done.stdout) == (0, f"runs {flag}\n"), done.stderr


def test_a_folder_without_versions_is_waited_at(tmp_path):
    assert start(f"--model_base_path={tmp_path}").returncode == 0


@pytest.mark.parametrize("tamper", [changed, missing, added, linked, swapped, emptied])
def test_a_tampered_version_keeps_the_server_from_starting(base, flag, tamper):
    tamper(base / "3")
    done = start(flag)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{base / '3'} is not as it was published" in done.stderr
