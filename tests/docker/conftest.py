"""The compose topology, running."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.docker.topology import Topology, running


@pytest.fixture(scope="package")
def topology(
    serve: Serve,
    models: Path,
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Topology]:
    """Server, page, proxy, probe and Prometheus, on the shipped model."""
    with running(serve, models, free_port, tmp_path_factory.mktemp("topology")) as parts:
        yield parts
