"""Whatever the API's description allows, the API does as it says: asked by schemathesis.

Its requests, those too that must be refused, go to a real front end in front of the scripted model server.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.scripted_server import ScriptedServer

HOOKS = "tests.ui.described_files"
LOGIN = "name:word"


def schemathesis(address: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run its checks on what a front end says of itself, the same requests every time."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"]
    command += ["--seed", "1", "--max-examples", "15", "--continue-on-failure"]
    command += ["--generation-database", "none", "--warnings", "off", "--no-color"]
    command += ["--request-timeout", "200", "--max-response-time", "200"]
    return subprocess.run(
        [*command, *flags],
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_the_api_is_as_described(
    run_front_end: RunFrontEnd, model_server: ScriptedServer, tmp_path: Path
) -> None:
    with run_front_end("--server", model_server.address, *NO_RATE) as running:
        done = schemathesis(running.address, tmp_path, "--checks", "all")
        log = running.log.read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    # Uvicorn's, of bytes that are no HTTP; none of ours.
    assert set(log.splitlines()) <= {"WARNING:  Invalid HTTP request received."}


def test_a_login_is_asked_for_as_described(
    run_front_end: RunFrontEnd, model_server: ScriptedServer, tmp_path: Path
) -> None:
    logins = tmp_path / "logins"
    logins.write_text(LOGIN)
    logins.chmod(0o600)
    flags = ("--login-file", str(logins), *NO_RATE)
    checks = "ignored_auth,not_a_server_error,status_code_conformance,response_schema_conformance"
    with run_front_end("--server", model_server.address, *flags) as running:
        done = schemathesis(running.address, tmp_path, "--checks", checks, "--auth", LOGIN)
    assert done.returncode == 0, done.stdout + done.stderr
