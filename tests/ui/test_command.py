"""`python -m ui` as a process: help, settings, ports, signals, and what it does not import."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import ROOT

START_S = 60


def ui(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ui", *flags],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


def test_help_teaches() -> None:
    told = ui("--help")
    assert told.returncode == 0
    for expected in ("Examples", "--server", "UI_SERVER", "127.0.0.1:8500", "/healthz"):
        assert expected in told.stdout


@pytest.mark.parametrize(
    ("flags", "environment", "sentence"),
    [
        (("--sever", "x"), {}, "Unknown option"),
        (("--port", "99999"), {}, "port"),
        ((), {"UI_PORT": "eighty"}, "eighty"),
        (("--server", "nonsense"), {}, "'nonsense' is no address of a model server."),
        ((), {"UI_SEVER": "x"}, "Unknown environment variable: UI_SEVER"),
    ],
    ids=["unknown flag", "bad port", "bad variable", "bad address", "unknown variable"],
)
def test_wrong_settings_are_refused(
    flags: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    refused = ui(*flags, **environment)
    assert refused.returncode == 2
    assert sentence in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = ui("--port", str(port))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Choose another with --host and --port.\n"
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_a_page_open(
    free_port: Callable[[], int], stop: signal.Signals
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "ui", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Page and API on http://127.0.0.1:{port}\n"
        address = f"http://127.0.0.1:{port}"
        assert httpx.get(address, timeout=START_S).status_code == 200
        with httpx.stream("GET", f"{address}/gradio_api/heartbeat/x", timeout=START_S) as page:
            assert page.status_code == 200
            process.send_signal(stop)
            assert process.wait(120) == 0


def test_tensorflow_is_not_imported() -> None:
    program = (
        "import sys; from ui.app import create_app; from ui.settings import Settings; "
        "from serving.client import Client; create_app(Settings(), Client()); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
