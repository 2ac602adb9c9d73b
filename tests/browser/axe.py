"""What axe-core finds on a page as it stands."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}


def grave_findings(page: Page) -> list[str]:
    """Its serious and critical findings."""
    found = Axe().run(page).response
    assert len(found["passes"]) > 10  # it did look
    return [
        f"{finding['id']}: {node['html'][:200]} {node['failureSummary']}"
        for finding in found["violations"]
        if finding["impact"] in GRAVE
        for node in finding["nodes"]
    ]
