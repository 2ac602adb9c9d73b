"""The looks in which the page is met: widths and colour schemes."""

import os

from playwright.sync_api import Page

#: Every flow is met on a wide screen and on a phone, light and dark.
LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
#: The look of flows that name none, `WIDTH-SCHEME`; `make looks` takes them through the other three.
_width, SCHEME = os.environ.get("BROWSER_LOOK", "1440-light").split("-")
WIDTH = int(_width)


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
