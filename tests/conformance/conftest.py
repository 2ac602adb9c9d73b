"""One suite for every server that speaks TensorFlow Serving's API.

    pytest tests/conformance                                    # starts the local server
    TFS_GRPC=host:8500 TFS_REST=host:8501 TFS_MODEL_BASE_PATH=/models/brain_tumor pytest tests/conformance

What is expected was recorded from TensorFlow Serving 2.20 (`recorded.json`). A server that is given by
address polls the directory TFS_MODEL_BASE_PATH, which it and the suite see under the same path. The suite
writes versions 1 and 2 there where they are missing, and others that it takes away again. Start it so:

    tensorflow_model_server --model_name=brain_tumor --model_base_path=$TFS_MODEL_BASE_PATH \
      --port=8500 --rest_api_port=8501 --monitoring_config_file=serving/config/monitoring.config \
      --max_num_load_retries=0 --enable_grpc_healthcheck_service=true

It needs a version to start with: `python -m tests.conformance DIRECTORY` writes both.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.conformance.recorded_model import BIASES, write_version
from tests.conformance.server import MODEL, Server

ROOT = Path(__file__).resolve().parent.parent.parent
VARIABLES = ("TFS_GRPC", "TFS_REST", "TFS_MODEL_BASE_PATH")


def pytest_report_header() -> str:
    address = os.environ.get("TFS_GRPC")
    return f"conformance of: {address or 'the local server'}"


@pytest.fixture(scope="session")
def unconfigured(serve, tmp_path_factory) -> Iterator[Server]:
    """A server of any kind whose base path holds versions 1 and 2."""
    given = [os.environ.get(name, "") for name in VARIABLES]
    if any(given) and not all(given):
        pytest.fail(f"Set all of {', '.join(VARIABLES)}, or none of them.")
    external = all(given)
    base = Path(given[2]) if external else tmp_path_factory.mktemp("conformance") / MODEL
    for version, bias in BIASES.items():
        if not (base / str(version)).exists():
            spare = base / f".tmp-{version}"
            write_version(spare, bias)
            spare.rename(base / str(version))
    if external:
        with grpc.insecure_channel(given[0]) as channel:
            yield Server(channel, given[1], base, external=True)
    else:
        monitoring = ROOT / "serving" / "config" / "monitoring.config"
        flags = ["--monitoring_config_file", str(monitoring), "--max_num_load_retries=0"]
        flags += ["--file_system_poll_wait_seconds", "0.2"]
        with serve(base, *flags) as local, grpc.insecure_channel(local.grpc) as channel:
            yield Server(channel, local.rest.removeprefix("http://"), base, external=False)


@pytest.fixture
def server(unconfigured) -> Server:
    """It, configured as the recorded one was: both versions serve, labels stable and canary.

    Whatever a test changes of the configuration is undone before the next.
    """
    unconfigured.restore()
    return unconfigured
