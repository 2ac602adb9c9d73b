"""Text of a stranger is text on the page: names of files and members, DICOM elements, the model card."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.scans import DROP_ZONE, answered, picture
from tests.data.medical import dicom, packed
from tests.ui.front_end import FrontEnd
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]

#: Without a slash, which no file name has.
MARKUP = (
    "<img id=injected src=x onerror=alert(1)>",
    '"><svg id=injected onload=alert(1)>',
    "<iframe id=injected srcdoc='<script>alert(1)'>",
    "{{constructor.constructor('alert(1)')()}}",
    "javascript:alert(1)",
)


@pytest.fixture
def visit(open_page: OpenPage, front_end: FrontEnd, model_server: ScriptedServer):
    """A function that opens the page; in the end no dialog and no element may have come of a text."""
    pages: list[Page] = []
    dialogs: list[str] = []

    def visit() -> Page:
        page = open_page(front_end)
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        pages.append(page)
        return page

    yield visit
    for page in pages:
        assert page.locator("#injected").count() == 0
        # What was to run has run by now: an event of an element that was made before.
        page.evaluate("() => new Promise(done => setTimeout(done))")
    assert dialogs == []


def test_the_watch_sees_a_script_that_runs(open_page: OpenPage, front_end: FrontEnd) -> None:
    page = open_page(front_end)
    with page.expect_event("dialog") as caught:
        page.on("dialog", lambda dialog: dialog.dismiss())
        page.evaluate("text => document.body.insertAdjacentHTML('beforeend', text)", MARKUP[0])
    assert caught.value.message == "1"
    assert page.locator("#injected").count() == 1


def upload(name: str, payload: bytes) -> dict[str, object]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": payload}


@pytest.mark.parametrize("name", MARKUP)
def test_the_name_of_a_single_file(visit: Callable[[], Page], name: str) -> None:
    page = visit()
    page.locator(DROP_ZONE).set_input_files([upload(f"{name}.png", picture(240))])
    answered(page)
    page.locator(DROP_ZONE).set_input_files([upload(f"{name}.png", b"no scan")])
    expect(page.locator("#answer .answer")).to_have_count(0)


def test_names_of_many_files_and_of_members(visit: Callable[[], Page]) -> None:
    page = visit()
    files = [upload(f"{name}.png", picture(200 + i)) for i, name in enumerate(MARKUP)]
    members = {f"{name}/{name}.png": picture(100 + i) for i, name in enumerate(MARKUP)}
    files.append(upload(f"{MARKUP[0]}.zip", packed(members | {f"{MARKUP[1]}.txt": b"no scan"})))
    page.locator(DROP_ZONE).set_input_files(files)
    lines = page.locator(".scans tbody tr")
    expect(lines).to_have_count(2 * len(MARKUP) + 1)
    expect(lines.filter(has_text=MARKUP[0]).first).to_be_visible()
    page.locator(".scans .open").first.click()
    expect(page.locator(".answer").first).to_be_visible()


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # on values that no scanner writes
def test_elements_of_a_dicom_file(visit: Callable[[], Page]) -> None:
    page = visit()
    levels = np.random.default_rng(3).integers(100, 250, (64, 64)).astype(np.uint16)
    for text in MARKUP[:2]:
        hostile = dicom(
            levels,
            PatientName=text,
            SeriesDescription=text,
            StudyDescription=text,
            PatientID=text,
            Manufacturer=text,
            ProtocolName=text,
        )
        page.locator(DROP_ZONE).set_input_files([upload("scan.dcm", hostile)])
        answered(page, re.compile("."))


def test_the_text_of_a_model_card(visit: Callable[[], Page], model_server: ScriptedServer) -> None:
    everywhere = dict.fromkeys(("id", "name", "title", "summary", "created", "licence"), MARKUP[0])
    model_server.card = everywhere | {
        "model": MARKUP[0],
        "intended_use": {"summary": MARKUP[1], "not_for": list(MARKUP)},
        "limitations": list(MARKUP),
        "data": {"sources": [{"name": name, "url": "javascript:alert(1)"} for name in MARKUP]},
        "sources": {name: {"licence": name, "url": name} for name in MARKUP},
        "metrics": {name: {"auroc": name} for name in MARKUP},
        "training": {name: name for name in MARKUP},
    }
    page = visit()
    page.get_by_role("tab", name="Model").click()
    expect(
        page.get_by_role("tabpanel").filter(visible=True).get_by_role("heading").first
    ).to_be_visible()
    assert page.locator("a[href^='javascript']").count() == 0
