"""Many scans at once: progress, table, filters, sorting, detail, downloads, stopping, a busy server."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.axe import grave_findings
from tests.browser.conftest import OpenPage
from tests.browser.scans import DROP_ZONE
from tests.ui import pictures
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser
Upload = dict[str, Any]

ANALYSE = re.compile(r"/api/v1/analyze")
#: Answers of hundreds of pictures on a busy machine.
LONG_MS = 120_000


picture = partial(pictures.picture, side=64, spread=4)


def upload(name: str, payload: bytes) -> Upload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": payload}


def choose(page: Page, files: Iterable[Upload]) -> None:
    page.locator(DROP_ZONE).set_input_files(list(files))


def lines(page: Page) -> Locator:
    return page.locator(".scans tbody tr")


def names(page: Page) -> list[str]:
    return page.locator(".scans .open").all_inner_texts()


def heading(page: Page) -> Locator:
    return page.locator(".many h2").first


def chip(page: Page, name: str) -> Locator:
    return page.locator(".filters").get_by_role("button", name=re.compile(rf"^{name} \d"))


def mixed() -> list[Upload]:
    """Low, medium, high, one like nothing the model knows (for `familiar_up_to` 0.9), two bad files."""
    return [
        upload("low.png", picture(30)),
        upload("medium.png", picture(110)),
        upload("high.png", picture(210)),
        upload("strange.png", picture(245)),
        upload('=HYPERLINK("x"), a.png', picture(50)),
        upload("text.png", b"hello"),
        upload("empty.png", b""),
    ]


@pytest.mark.parametrize("width", [390, 1440])
def test_two_hundred_files_fill_the_table_and_the_bad_ones_are_rows(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, width: int
) -> None:
    page = open_page(front_end, width=width)
    levels = [10 + number % 230 for number in range(197)]
    files = [upload(f"{n}.png", picture(level)) for n, level in enumerate(levels)]
    files += [upload(f"bad-{n}.png", b"no picture") for n in range(3)]
    choose(page, files)
    expect(heading(page)).to_have_text("200 scans read", timeout=LONG_MS)
    expect(lines(page)).to_have_count(200)
    expect(chip(page, "No answer")).to_have_text("No answer 3")
    expect(lines(page).nth(199)).to_contain_text("This is not a PNG, JPEG or WebP image")
    shown = [float(text.split()[0]) for text in page.locator(".scans .figure").all_inner_texts()]
    assert len(shown) == 197
    assert shown == sorted(shown, reverse=True)
    assert max(model_server.batches) <= 16
    assert sum(model_server.batches) == 197
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1440])
def test_groups_filters_and_sorting(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, width: int
) -> None:
    model_server.familiar_up_to = 0.9
    page = open_page(front_end, width=width)
    choose(page, mixed())
    expect(heading(page)).to_have_text("7 scans read")
    expect(page.locator(".many .progress .hint")).to_have_text(
        "1 high, 1 medium, 2 low, 1 not a brain MRI, 2 without an answer"
    )
    answered = ["high.png", "medium.png", '=HYPERLINK("x"), a.png', "low.png"]
    last = ["strange.png", "text.png", "empty.png"]
    assert names(page) == answered + last
    expect(lines(page).nth(4)).to_contain_text("does not look like a brain MRI")
    expect(lines(page).nth(4)).not_to_contain_text("%")
    expect(lines(page).nth(6)).to_contain_text("The file is empty.")

    probability = page.locator("th[data-column=probability]")
    expect(probability).to_have_attribute("aria-sort", "descending")
    probability.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(probability).to_have_attribute("aria-sort", "ascending")
    assert names(page) == answered[::-1] + last
    page.locator("th[data-column=scan] button").click()
    expect(page.locator("th[data-column=scan]")).to_have_attribute("aria-sort", "ascending")
    assert probability.get_attribute("aria-sort") is None
    by_name = ['=HYPERLINK("x"), a.png', "high.png", "low.png", "medium.png"]
    assert names(page) == [*by_name, "strange.png", "empty.png", "text.png"]

    for name, found in (("Low", 2), ("Not a brain MRI", 1), ("No answer", 2), ("All", 7)):
        chip(page, name).click()
        expect(chip(page, name)).to_have_attribute("aria-pressed", "true")
        expect(lines(page)).to_have_count(found)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_row_opens_its_scan_by_keyboard_and_the_way_back_leads_to_it(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    choose(page, mixed())
    expect(heading(page)).to_have_text("7 scans read")
    page.get_by_role("button", name="medium.png").focus()
    page.keyboard.press("Enter")
    detail = page.get_by_role("dialog", name="medium.png")
    expect(detail).to_be_visible()
    expect(detail.locator(".verdict")).to_contain_text("Unsure")
    detail.get_by_role("button", name="Next").click()
    expect(page.get_by_role("dialog")).to_contain_text("HYPERLINK")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="medium.png")).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_grave(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    width: int,
    theme: str,
) -> None:
    model_server.familiar_up_to = 0.9
    page = open_page(front_end, width, color_scheme=theme, reduced_motion="reduce")
    choose(page, mixed())
    expect(heading(page)).to_have_text("7 scans read")
    assert grave_findings(page) == []
    page.get_by_role("button", name="medium.png").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert grave_findings(page) == []


def test_a_zip_is_a_table_of_its_members(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for level in (40, 120, 220):
            packed.writestr(f"week/{level}.png", picture(level))
        packed.writestr("week/broken.png", picture(90)[:-60])
    page = open_page(front_end)
    choose(page, [upload("scans.zip", archive.getvalue())])
    expect(heading(page)).to_have_text("4 scans read")
    assert names(page) == ["220.png", "120.png", "40.png", "broken.png"]
    assert set(page.locator(".scans .member").all_inner_texts()) == {"scans.zip / week"}


def downloaded(page: Page, label: str) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    path = waiting.value.path()
    assert waiting.value.suggested_filename.startswith("brain-tumour-answers-")
    return Path(path).read_bytes().decode("utf-8-sig")


def test_the_downloads_hold_every_answer_and_no_formula(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    model_server.familiar_up_to = 0.9
    page = open_page(front_end)
    choose(page, mixed())
    expect(heading(page)).to_have_text("7 scans read")
    text = downloaded(page, "Download CSV")
    assert text.count("\r\n") == 8
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 7
    formula = rows['\'=HYPERLINK("x"), a.png']
    assert float(formula["probability"]) == pytest.approx(50 / 255, abs=0.01)
    high = rows["high.png"]
    assert (high["label"], high["risk"], high["in_distribution"]) == ("tumor", "high", "true")
    assert (high["version"], high["threshold_low"], high["threshold_high"]) == ("7", "0.25", "0.75")
    assert rows["strange.png"]["in_distribution"] == "false"
    assert rows["text.png"]["error_code"] == "unsupported_format"
    assert {row["disclaimer"] for row in rows.values()} == {
        "Not a medical device. For research and teaching."
    }

    report = json.loads(downloaded(page, "Download JSON"))
    assert [report["files"][one["file"]] for one in report["results"]] == [
        one["name"] for one in mixed()[:5]
    ]
    forms = [("file", (one["name"], one["buffer"])) for one in mixed()]
    told = front_end.http.post("/api/v1/analyze", files=forms).json()
    for name in ("results", "model", "thresholds", "disclaimer"):
        assert report[name] == told[name]
    assert [one["error"]["code"] for one in report["refused"]] == [
        one["error"]["code"] for one in told["refused"]
    ]


def test_stopping_keeps_what_is_there_and_the_rest_can_follow(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    held: list[Route] = []
    asked = 0

    def second_waits(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            held.append(route)
        else:
            route.continue_()

    page.route(ANALYSE, second_waits)
    choose(page, [upload(f"{n}.png", picture(20 + 5 * n)) for n in range(40)])
    expect(heading(page)).to_have_text("16 of 40 scans answered")
    page.get_by_role("button", name="Stop").click()
    expect(heading(page)).to_have_text("Stopped: 16 of 40 scans answered")
    expect(lines(page)).to_have_count(16)
    page.get_by_role("button", name="Send the other 24 files").click()
    expect(heading(page)).to_have_text("40 scans read")
    assert len(held) == 1
    shown = sorted(names(page), key=lambda name: int(name.split(".")[0]))
    assert shown == [f"{n}.png" for n in range(40)]


def refuse(route: Route, status: int, wait_s: int) -> None:
    error = {"code": "too_many_requests", "message": "Too many requests from your address."}
    route.fulfill(
        status=status, headers={"Retry-After": str(wait_s)}, body=json.dumps({"error": error})
    )


def test_a_request_refused_for_good_costs_only_its_own_files_which_can_go_again(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    asked = 0

    def second_refused(route: Route) -> None:
        nonlocal asked
        asked += 1
        if 2 <= asked <= 8:  # the request and all that it is tried again
            refuse(route, 503, 0)
        else:
            route.continue_()

    page.route(ANALYSE, second_refused)
    choose(page, [upload(f"{n}.png", picture(20 + 5 * n)) for n in range(40)])
    expect(heading(page)).to_have_text("40 scans read")
    expect(chip(page, "No answer")).to_have_text("No answer 16")
    expect(lines(page).last).to_contain_text("Too many requests from your address.")
    page.get_by_role("button", name="Send 16 files again").click()
    expect(chip(page, "No answer")).to_have_text("No answer 0")
    expect(heading(page)).to_have_text("40 scans read")
    expect(lines(page)).to_have_count(40)


def test_the_page_waits_for_a_server_that_asks_it_to(
    model_server: ScriptedServer,
    open_page: OpenPage,
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    flags = ("--server", model_server.address, "--rate-limit", "2/2second")
    with running_front_end(free_port(), tmp_path / "log.txt", *flags) as limited:
        page = open_page(limited)
        choose(page, [upload(f"{n}.png", picture(20 + 2 * n)) for n in range(80)])
        expect(page.locator(".many .hint").first).to_contain_text("It goes on by itself in")
        expect(heading(page)).to_have_text("80 scans read", timeout=LONG_MS)
        expect(chip(page, "No answer")).to_have_text("No answer 0")


def test_too_many_files_are_refused_before_anything_is_sent(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    choose(page, [upload(f"{n}.png", b"x") for n in range(201)])
    expect(page.get_by_role("alert")).to_contain_text("These are 201 images; up to 200 go at once.")
    assert "POST" not in sent


def test_the_limits_are_those_that_the_server_tells(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    limits = front_end.http.get("/api/v1/limits").json() | {"files": 2, "file_mb": 0}
    page = open_page(front_end)
    page.route("**/api/v1/limits", lambda route: route.fulfill(json=limits))
    page.reload()
    choose(page, [upload(f"IM{n}", b"x") for n in range(3)])
    expect(page.get_by_role("alert")).to_contain_text("3 files of series; up to 2 go at once")
    choose(page, [upload("a.png", picture(40)), upload("b.png", picture(50))])
    expect(lines(page)).to_have_count(2)
    expect(lines(page).first).to_contain_text("larger than 0 MB. Send a smaller export.")


def test_a_busy_model_server_is_waited_for(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    model_server.behaviour = "busy"
    page = open_page(front_end)
    choose(page, mixed())
    expect(page.locator(".many .hint").first).to_contain_text("It goes on by itself in 5 s")
    model_server.behaviour = "answers"
    expect(heading(page)).to_have_text("7 scans read", timeout=LONG_MS)
    assert sorted(names(page)) == sorted(one["name"] for one in mixed())


def test_two_versions_in_one_run_are_told_apart(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    model_server.swap_after = 1
    page = open_page(front_end)
    choose(page, [upload(f"{n}.png", picture(20 + 5 * n)) for n in range(20)])
    expect(heading(page)).to_have_text("20 scans read")
    expect(page.locator(".answered-by")).to_contain_text("versions 7, 8 of brain_tumor answered")
    rows = csv.DictReader(io.StringIO(downloaded(page, "Download CSV")))
    assert [row["version"] for row in rows] == ["7"] * 16 + ["8"] * 4
    results = json.loads(downloaded(page, "Download JSON"))["results"]
    assert [one.get("model", {}).get("version") for one in results] == [None] * 16 + [8] * 4
