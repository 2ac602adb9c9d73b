"""Headless Chromium in front of a real `python -m ui` process."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.looks import SCHEME, WIDTH
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import ScriptedServer, scripted_server

OpenPage = Callable[..., Page]
OpenTab = Callable[..., Page]

#: Order of the tabs on the page.
TABS = ("analyse", "model", "api")

expect.set_options(timeout=30_000)  # where other work has the cores, an answer takes seconds


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; in continuous integration its absence is a failure.

    Gone with its module: Playwright keeps an event loop running in this thread, in which no other test
    could start one.
    """
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    executable = os.environ.get("CHROMIUM") or next(filter(None, found), None)
    if not executable:
        assert not os.environ.get("CI"), "Chromium is missing; .ci/run installs it"
        pytest.skip("the page goes untested: install Chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """A function `open_page(front_end, width=WIDTH, **context)` that opens the page in a fresh profile."""
    contexts = []

    def visit(front_end: FrontEnd, width: int = WIDTH, **options: Any) -> Page:
        wanted: dict[str, Any] = {
            "viewport": {"width": width, "height": 844},
            "color_scheme": SCHEME,
            "locale": "en-GB",
        }
        context = browser.new_context(**wanted | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(front_end.address)
        page.wait_for_selector("#answer .panel")
        page.wait_for_selector("#samples button")
        page.wait_for_selector("#header h1")
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def open_tab(open_page: OpenPage) -> OpenTab:
    """A function `open_tab(front_end, tab, width=WIDTH, scheme=SCHEME, language="en")`."""

    def visit(
        front_end: FrontEnd,
        tab: str,
        width: int = WIDTH,
        scheme: str = SCHEME,
        language: str = "en",
    ) -> Page:
        page = open_page(
            front_end,
            width,
            color_scheme=scheme,
            locale=language,
            permissions=["clipboard-read", "clipboard-write"],
        )
        page.get_by_role("tab").nth(TABS.index(tab)).click()
        return page

    return visit


@pytest.fixture(scope="session")
def model_port(free_port: Callable[[], int]) -> int:
    """Where the model server behind `front_end` is expected."""
    return free_port()


@pytest.fixture(scope="session")
def front_end(
    model_port: int, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontEnd]:
    """A front end whose model server tests start and stop."""
    log = tmp_path_factory.mktemp("front_end") / "log.txt"
    server = f"127.0.0.1:{model_port}"
    with running_front_end(free_port(), log, "--server", server, "--timeout-s", "2") as running:
        yield running


@pytest.fixture
def model_server(model_port: int) -> Iterator[ScriptedServer]:
    """A model server that does as it is told."""
    with scripted_server(model_port) as server:
        yield server
