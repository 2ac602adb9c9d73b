"""What can be done with answers: look again, compare, copy, print."""

import re

import pytest
from playwright.sync_api import expect
from pypdf import PdfReader

from tests.browser.conftest import OpenPage
from tests.browser.scans import DROP_ZONE, answered, choose, picture, verdict
from tests.ui.front_end import FrontEnd
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [390, 1440])
def test_answers_of_the_session_can_be_seen_again_and_compared(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, width: int
) -> None:
    page = open_page(front_end, width)
    history = page.get_by_role("region", name="This session")
    expect(history).to_have_count(0)  # hidden while there is nothing in it
    for count, level in enumerate((240, 20, 120), 1):
        choose(page, picture(level))
        expect(history.locator(".past li")).to_have_count(count)
    expect(history).to_contain_text("gone when you close or reload it")

    history.get_by_role("button", name="Scan 1").click()
    answered(page, "Tumour")

    compare = history.get_by_role("button", name="Compare the two chosen")
    expect(compare).to_be_disabled()
    history.get_by_label("Compare Scan 1").check()
    history.get_by_label("Compare Scan 2").check()
    expect(history.get_by_label("Compare Scan 3")).to_be_disabled()
    compare.press("Enter")
    expect(verdict(page)).to_have_text(["Tumour", "No tumour"])
    boxes = [panel.bounding_box() for panel in page.locator("#answer .panel").all()]
    assert all(boxes)
    beside = boxes[0]["y"] == boxes[1]["y"]  # type: ignore[index]
    assert beside == (width == 1440)

    history.get_by_role("button", name="Clear").press("Enter")
    expect(history).to_have_count(0)
    expect(page.locator(DROP_ZONE)).to_be_focused()


def test_the_session_is_bounded_and_gone_with_the_tab(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    for count in range(1, 14):
        choose(page, picture(10 * count))
        expect(page.get_by_role("button", name=re.compile(rf"^Scan {count}\b"))).to_be_visible()
    expect(page.locator("#history .past li")).to_have_count(12)
    kept = page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    assert set(kept) <= {"language", "theme"}
    page.reload()
    page.wait_for_selector("#answer .panel")
    expect(page.locator("#history .past li")).to_have_count(0)


@pytest.mark.parametrize("over", ["https", "http"])
def test_the_answer_can_be_copied_as_text(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, over: str
) -> None:
    page = open_page(front_end, permissions=["clipboard-read", "clipboard-write"])
    if over == "http":  # where pages are not let near the clipboard
        page.evaluate("navigator.clipboard.writeText = undefined")
    choose(page, picture(240))
    page.get_by_role("button", name="Copy as text").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()").replace("\u00a0", " ")
    assert copied.splitlines() == [
        "Brain-tumour classifier",
        "Tumour. Confidence 94.1 %",
        "Tumour probability: 94.1 %",
        "Thresholds: 25.0 % and 75.0 %",
        "Model: brain_tumor, version 7",
        "Not a medical device. For research and teaching.",
    ]


@pytest.mark.parametrize("named", [False, True])
def test_the_report_can_be_taken_along_without_or_with_the_name(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, named: bool
) -> None:
    page = open_page(front_end)
    choose(page, picture(240), name="Jane Doe.png")
    if named:
        page.get_by_label("Include the file name in the PDF").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF report").click()
    expect(page.get_by_text("The report is in your downloads.")).to_be_visible()
    assert download.value.suggested_filename == "brain-mri-report.pdf"
    (sheet,) = PdfReader(download.value.path()).pages
    text = sheet.extract_text()
    assert "94.1" in text
    assert "For research and teaching" in text
    assert ("Jane Doe" in text) == named


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("familiar", [True, False])
def test_the_answer_prints_on_one_page(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    theme: str,
    familiar: bool,
) -> None:
    model_server.in_distribution = familiar
    page = open_page(front_end, color_scheme=theme)
    choose(page, picture(240))
    expect(page.locator("#answer .answer")).to_be_visible()
    printed = page.pdf(format="A4", print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    page.emulate_media(media="print")
    for hidden in ("#header", "#samples", "#history", ".giving", ".actions"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#answer").get_by_text("For research and teaching.")).to_be_visible()
    expect(page.locator("#answer .panel")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator("#answer .verdict h2")).to_have_css("color", "rgb(0, 0, 0)")


def test_the_model_card_is_one_click_away(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    choose(page, picture(240))
    page.get_by_role("button", name="model card").click()
    expect(page.get_by_role("tab", name="Model")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#model_tab")).to_be_attached()
