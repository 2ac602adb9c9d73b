"""Opening the page on one of its tabs, in any width and either colour scheme."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page

from tests.ui.front_end import FrontEnd

#: Order of the tabs on the page.
TABS = ("analyse", "model", "api")
#: Every flow is met on a wide screen and on a phone, light and dark.
LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
#: The look of flows that name none, `WIDTH-SCHEME`; `make looks` takes them through the other three.
_width, SCHEME = os.environ.get("BROWSER_LOOK", "1440-light").split("-")
WIDTH = int(_width)
OpenTab = Callable[..., Page]


@contextmanager
def opened_tabs(browser: Browser) -> Iterator[OpenTab]:
    """A function `open_tab(front_end, tab, width=WIDTH, scheme=SCHEME, language="en")`."""
    contexts = []

    def visit(
        front_end: FrontEnd,
        tab: str,
        width: int = WIDTH,
        scheme: str = SCHEME,
        language: str = "en",
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if scheme == "dark" else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{front_end.address}/?lang={language}&__theme={scheme}")
        page.get_by_role("tab").nth(TABS.index(tab)).click()
        return page

    yield visit
    for context in contexts:
        context.close()


def overflowing(page: Page, selector: str) -> list[str]:
    """Elements that are wider than their screen or reach out of it."""
    found: list[str] = page.evaluate(
        """(selector) => [document.documentElement, ...document.querySelectorAll(selector)]
            .filter((one) => one.scrollWidth > one.clientWidth + 1
                || one.getBoundingClientRect().right > innerWidth + 1)
            .map((one) => one.outerHTML.slice(0, 80))""",
        selector,
    )
    return found
