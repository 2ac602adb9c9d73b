"""axe-core on every state of the page: nothing serious, nothing critical, in Gradio's own markup neither."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_findings
from tests.browser.conftest import OpenPage
from tests.browser.scans import answered, choose, picture
from tests.ui.front_end import FrontEnd
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_grave(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    width: int,
    theme: str,
) -> None:
    page = open_page(front_end, width, color_scheme=theme, reduced_motion="reduce")
    answer = page.locator("#answer")
    found = {"idle": grave_findings(page)}
    for name, level, headline in (
        ("tumour", 240, "Tumour"),
        ("normal", 20, "No tumour"),
        ("unsure", 120, "Unsure"),
    ):
        choose(page, picture(level))
        answered(page, headline)
        found[name] = grave_findings(page)
    for box in page.locator("#history .past input").all()[:2]:
        box.check()
    found["chosen"] = grave_findings(page)
    page.get_by_role("button", name="Compare the two chosen").click()
    expect(answer.locator(".panel")).to_have_count(2)
    found["compare"] = grave_findings(page)

    model_server.in_distribution = False
    choose(page, picture(240))
    answered(page, "No answer to this image")
    answer.locator("summary").click()
    found["refusal"] = grave_findings(page)
    choose(page, b"")
    expect(answer.get_by_role("alert")).to_be_visible()
    found["error"] = grave_findings(page)

    model_server.behaviour = "hangs"
    choose(page, picture(240))
    expect(answer.locator(".busy")).to_be_visible()
    found["reading"] = grave_findings(page)
    for name in ("Model", "API"):
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        found[name] = grave_findings(page)
    assert {state: findings for state, findings in found.items() if findings} == {}
