"""Cards and plots on disk: what is listed and given, and that nothing else of the disk is."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.ui.conftest import RunFrontEnd
from tests.ui.scripted_server import VERSION, ScriptedServer

SHIPPED = ROOT / "models" / "brain_tumor"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory: 3 as shipped, 2 without checksums, 1 without plots, and things beside them."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(SHIPPED / "3" / "plots", folder / "3" / "plots")
    for name in ("model_card.json", "SHA256SUMS"):
        shutil.copy(SHIPPED / "3" / name, folder / "3" / name)
    (folder / "3" / "plots" / "unlisted.png").write_bytes(PNG)
    (folder / "3" / "plots" / "decisions.png").write_bytes(PNG)
    (folder / "2" / "plots").mkdir(parents=True)
    for name in ("curves.png", "Odd Name.png", "notes.txt"):
        (folder / "2" / "plots" / name).write_bytes(PNG)
    (folder / "2" / "model_card.json").write_text('{"version": 2}')
    (folder / "1").mkdir()
    (folder / "1" / "model_card.json").write_text('{"version": 1}')
    (folder / "9").mkdir()
    (folder / "9" / "model_card.json").write_text("half a ca")
    for name in (".4.tmp-17", "07", "notes"):
        (folder / name).mkdir()
        (folder / name / "model_card.json").write_text("{}")
    (folder / "secret.png").write_bytes(PNG)
    return folder


@pytest.fixture(scope="module")
def disk(
    directory: Path, run_front_end: RunFrontEnd, _model_server: ScriptedServer
) -> Iterator[httpx.Client]:
    """A client of a front end that knows the directory."""
    flags = ("--server", _model_server.address, "--model-directory", str(directory))
    with run_front_end(*flags) as running:
        yield running.http


def test_versions_newest_first_and_nothing_half_made(disk: httpx.Client) -> None:
    assert disk.get("/api/v1/versions").json() == {"versions": [9, 3, 2, 1]}
    assert disk.get("/api/v1/versions/2/card").json() == {"version": 2}
    shipped = json.loads((SHIPPED / "3" / "model_card.json").read_text())
    assert disk.get("/api/v1/versions/3/card").json() == shipped
    for unknown in (4, 9):
        refused = disk.get(f"/api/v1/versions/{unknown}/card")
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "version_not_found"
    for impossible in (-1, 0, 2**63):
        assert disk.get(f"/api/v1/versions/{impossible}/card").status_code == 422


def test_plots_that_the_version_was_published_with(disk: httpx.Client) -> None:
    listed = disk.get("/api/v1/model/3/plots").json()["plots"]
    assert listed == sorted(path.name for path in (SHIPPED / "3" / "plots").glob("*.png"))
    for name in listed:
        answer = disk.get(f"/api/v1/model/3/plots/{name}")
        if name == "decisions.png":  # was changed since
            assert answer.status_code == 404
            continue
        assert answer.headers["content-type"] == "image/png"
        assert answer.content == (SHIPPED / "3" / "plots" / name).read_bytes()
    assert disk.get("/api/v1/model/3/plots/unlisted.png").status_code == 404


def test_a_version_without_checksums_or_plots(disk: httpx.Client) -> None:
    assert disk.get("/api/v1/model/2/plots").json() == {"plots": ["curves.png"]}
    assert disk.get("/api/v1/model/2/plots/curves.png").content == PNG
    assert disk.get("/api/v1/model/1/plots").json() == {"plots": []}
    assert disk.get("/api/v1/model/4/plots").json() == {"plots": []}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/model/2/plots/notes.txt",
        "/api/v1/model/2/plots/..%2f..%2fsecret.png",
        "/api/v1/model/2/plots/%2e%2e/%2e%2e/secret.png",
        "/api/v1/model/2/plots/..%5c..%5csecret.png",
        "/api/v1/model/2/plots/curves.png%00",
        "/api/v1/model/2/plots/Odd%20Name.png",
        "/api/v1/model/..%2f2/plots/curves.png",
        "/api/v1/model/07/plots/curves.png",
    ],
)
def test_nothing_else_of_the_disk(disk: httpx.Client, path: str) -> None:
    answer = disk.get(path)
    assert answer.status_code in (404, 422)
    assert PNG not in answer.content


def test_without_a_directory_the_answer_says_so(api: httpx.Client) -> None:
    assert api.get("/api/v1/versions").json() == {"versions": None}
    assert api.get(f"/api/v1/model/{VERSION}/plots").json() == {"plots": None}
    for path in (f"/api/v1/versions/{VERSION}/card", f"/api/v1/model/{VERSION}/plots/curves.png"):
        assert api.get(path).status_code == 404
