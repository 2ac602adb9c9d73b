"""How scans come in: drop, paste, folder, camera, samples; and that the last choice is the one answered."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import OpenPage
from tests.browser.scans import DROP_ZONE, answered, choose, picture
from tests.conftest import eventually
from tests.ui.front_end import FrontEnd
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser


def drop(page: Page, *paths: Path) -> None:
    """Drop files or folders of the disk, as the system's file manager would."""
    target = page.locator(".drop")
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"type": kind, "x": box["x"] + 20, "y": box["y"] + 20, "data": data}
        devtools.send("Input.dispatchDragEvent", at)


def analyses_under_way(page: Page) -> set[Request]:
    """The page's questions to the API that have neither been answered nor given up; kept up to date."""
    under_way: set[Request] = set()
    page.on("request", lambda request: "analyze" in request.url and under_way.add(request))
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda request: under_way.discard(request))
    return under_way


def all_ended(page: Page, under_way: set[Request]) -> None:
    """Wait until none is under way."""
    # Events of the browser are heard while it is asked something.
    eventually(lambda: page.evaluate("1") and not under_way, "all requests have ended")


def test_a_file_can_be_dropped(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, tmp_path: Path
) -> None:
    scan = tmp_path / "scan.png"
    scan.write_bytes(picture(240))
    page = open_page(front_end)
    drop(page, scan)
    answered(page, "Tumour")


def test_a_folder_can_be_dropped_and_chosen(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, tmp_path: Path
) -> None:
    inner = tmp_path / "patient" / "series"
    inner.mkdir(parents=True)
    (inner / "one.png").write_bytes(picture(20))
    (inner / "notes.txt").write_text("no scan, and not sent")
    (inner.parent / ".DS_Store").write_bytes(b"\0")
    page = open_page(front_end)
    drop(page, inner.parent)
    answered(page, "No tumour")

    (inner / "one.png").write_bytes(picture(240))
    page.get_by_label("Choose a folder").set_input_files(inner.parent)
    answered(page, "Tumour")

    (inner / "one.png").unlink()
    drop(page, inner.parent)
    expect(page.locator("#answer").get_by_role("alert")).to_contain_text("no scan in this folder")


def test_an_image_can_be_pasted(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (bytes) => {
          const blob = new Blob([new Uint8Array(bytes)], { type: "image/png" });
          await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        list(picture(240)),
    )
    page.keyboard.press("Control+V")
    answered(page, "Tumour")


def test_a_phone_offers_its_camera(front_end: FrontEnd, open_page: OpenPage) -> None:
    phone = open_page(front_end, 390, has_touch=True, is_mobile=True)
    expect(phone.get_by_label("Take a picture")).to_have_attribute("capture", "environment")
    desk = open_page(front_end)
    expect(desk.get_by_label("Take a picture")).to_have_count(0)


def test_the_name_of_a_file_stays_in_the_browser(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    # What the browser is about to send, of which Playwright would not see the files.
    page.evaluate(
        """() => {
          const send = XMLHttpRequest.prototype.send;
          window.names = [];
          XMLHttpRequest.prototype.send = function (form) {
            for (const [, value] of form) window.names.push(value.name ?? value);
            send.call(this, form);
          };
        }"""
    )
    choose(page, picture(240), name="Jane Doe 1970.nii.PNG")
    answered(page, "Tumour")
    assert page.evaluate("window.names") == ["scan-1.nii.png"]
    assert "Jane" not in page.locator("body").inner_text()


def test_samples_answer_by_mouse_and_by_keyboard(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    buttons = page.locator("#samples button")
    expect(buttons).to_have_count(12)
    expect(page.locator("#samples")).to_contain_text("figshare 1512427, CC BY 4.0")
    buttons.nth(1).click()
    expect(page.locator("#answer")).to_contain_text("Confidence")
    scan = page.locator("#answer .stack img.scan")
    first = scan.get_attribute("src") or ""

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(scan).not_to_have_attribute("src", first)
    expect(page.locator("#answer")).to_contain_text("Confidence")


@pytest.mark.parametrize("pause_ms", [0, 5, 20, 40, 60, 80, 100])
def test_of_two_quick_choices_the_second_is_answered(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, pause_ms: int
) -> None:
    page = open_page(front_end)
    under_way = analyses_under_way(page)
    scan = page.locator("#answer .answer .stack img.scan")
    page.locator("#samples button").nth(1).click()
    expect(page.locator("#answer")).to_contain_text("Confidence")
    second = scan.get_attribute("src") or ""
    page.evaluate(
        """async (pause) => {
          const [first, second] = document.querySelectorAll("#samples button");
          first.click();
          await new Promise((done) => setTimeout(done, pause));
          second.click();
        }""",
        pause_ms,
    )
    past = page.locator("#history .past li")
    expect(page.locator("#answer .busy")).to_have_count(0)
    expect(scan).to_have_attribute("src", second)
    all_ended(page, under_way)
    expect(scan).to_have_attribute("src", second)  # nor may the first one's answer come after it
    expect(past.first.locator("img")).to_have_attribute("src", second)


def test_a_choice_that_was_superseded_never_shows(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    model_server.behaviour = "hangs"
    under_way = analyses_under_way(page)
    choose(page, picture(240))
    expect(page.locator("#answer")).to_contain_text("Reading the scan")
    eventually(lambda: model_server.hung, "the model server sits on the first scan")
    model_server.behaviour = "answers"
    choose(page, picture(20))
    answered(page, "No tumour")
    model_server.release.set()
    all_ended(page, under_way)
    answered(page, "No tumour")
    expect(page.locator("#history .past li")).to_have_count(1)


def test_progress_is_told_in_words(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    page.evaluate(
        """() => {
          window.told = [];
          const answer = document.getElementById("answer");
          const tell = () => window.told.push(answer.querySelector("h2").textContent);
          new MutationObserver(tell).observe(answer, { childList: true, subtree: true });
        }"""
    )
    devtools = page.context.new_cdp_session(page)
    devtools.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 2**20},
    )
    choose(page, b"x" * 2**20)
    expect(page.locator("#answer").get_by_role("alert")).to_be_visible()
    told = page.evaluate("window.told")
    assert any(text.startswith("Uploading ") and text.endswith(" %") for text in told), told
    assert told.index("Reading the scan") >= 0


def test_the_drop_zone_takes_all_that_the_server_reads(
    front_end: FrontEnd, open_page: OpenPage
) -> None:
    zone = open_page(front_end).locator(DROP_ZONE)
    endings = (zone.get_attribute("accept") or "").split(",")
    assert {".png", ".jpg", ".jpeg", ".webp", ".dcm", ".nii", ".gz", ".zip"} <= set(endings)
    expect(zone).to_have_attribute("multiple", "")
