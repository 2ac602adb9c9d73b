"""The API tab: every snippet is taken from the page and run as it stands, against the page's own server."""

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab
from tests.browser.looks import LOOKS, overflowing
from tests.conftest import ROOT
from tests.ui.front_end import FrontEnd
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser

LEVEL = 240
PROBABILITY = pytest.approx(LEVEL / 255, abs=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a scan of a known mean brightness."""
    pixels = np.full((224, 224, 3), LEVEL, np.uint8)
    pixels[:112] -= 10
    pixels[112:] += 10
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    return tmp_path


def run(open_tab: OpenTab, front_end: FrontEnd, name: str, folder: Path, **changed: str) -> str:
    """Copy a snippet with its button, run it as a person would, and give what it wrote."""
    page = open_tab(front_end, "api")
    snippet = page.locator(f"[data-snippet={name}]")
    snippet.get_by_role("button").click()
    expect(snippet.get_by_role("status")).to_have_text("Copied.")
    code = page.evaluate("navigator.clipboard.readText()")
    assert code == snippet.locator("code").inner_text()
    assert name == "grpc" or front_end.address in code
    for old, new in changed.items():
        assert old in code
        code = code.replace(old, new)
    shell = snippet.get_attribute("data-language") == "shell"
    command = ["bash", "-c", code] if shell else [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab, folder: Path
) -> None:
    one = json.loads(run(open_tab, front_end, "curl", folder))["results"][0]["slices"][0]
    assert one["decision"]["probability"] == PROBABILITY
    assert one["heatmap"] is not None


def test_curl_with_a_stream(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab, folder: Path
) -> None:
    lines = run(open_tab, front_end, "stream", folder).splitlines()
    events = [json.loads(line) for line in lines]
    assert [one["event"] for one in events].count("slice") == 2
    assert events[-1]["event"] == "end"


def test_curl_for_a_report(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab, folder: Path
) -> None:
    from pypdf import PdfReader

    run(open_tab, front_end, "pdf", folder)
    text = PdfReader(io.BytesIO((folder / "report.pdf").read_bytes())).pages[0].extract_text()
    assert "94.1 %" in text


def test_python(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab, folder: Path
) -> None:
    label, probability, risk = run(open_tab, front_end, "python", folder).split()
    assert (label, float(probability), risk) == ("tumor", PROBABILITY, "high")


def test_gradio_client(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab, folder: Path
) -> None:
    told = run(open_tab, front_end, "gradio", folder)
    decision = ast.literal_eval(told.splitlines()[-1])
    assert decision["probability"] == PROBABILITY


def test_grpc(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab, folder: Path
) -> None:
    told = run(open_tab, front_end, "grpc", folder, **{"HOST:8500": model_server.address})
    version, label, probability, risk, known = told.split()
    assert (version, label, risk, known) == ("7", "tumor", "high", "True")
    assert float(probability) == PROBABILITY


def test_tables_are_the_servers_own(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab
) -> None:
    page = open_tab(front_end, "api")
    api = page.locator("#api_tab")
    limits = front_end.http.get("/api/v1/limits").json()
    for value in (limits["file_mb"], limits["files"], limits["request_mb"]):
        expect(api.locator("[aria-labelledby=api-limits]")).to_contain_text(f"{value:,}")
    spec = front_end.http.get("/openapi.json").json()
    routes = api.locator("[aria-labelledby=api-routes]")
    for path, operations in spec["paths"].items():
        for method in operations:
            expect(routes.get_by_text(f"{method.upper()} {path}", exact=True)).to_be_visible()
    errors = api.locator("[aria-labelledby=api-errors]")
    for status in ("413", "422", "503"):
        expect(errors.get_by_role("rowheader", name=status)).to_be_visible()
    for link, expected in (("All routes", "text/html"), ("openapi.json", "application/json")):
        address = api.get_by_role("link", name=link).get_attribute("href")
        assert address is not None
        assert front_end.http.get(address).headers["content-type"].startswith(expected)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_is_cut_off(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_tab: OpenTab,
    width: int,
    scheme: str,
    language: str,
) -> None:
    page = open_tab(front_end, "api", width, scheme, language)
    expect(page.locator("[aria-labelledby=api-errors] table")).to_be_visible()
    assert overflowing(page, ".api section, .api table, .api td, .api th") == []
