"""One scan as a person meets it: answer, bands, evidence, refusal, errors, outages."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.scans import DROP_ZONE, answered, choose, picture, verdict
from tests.conftest import RunningServer, eventually
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import ScriptedServer, scripted_server

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [390, 1440])
def test_the_answer_is_on_the_page(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, width: int
) -> None:
    page = open_page(front_end, width)
    choose(page, picture(240))
    answered(page, "Tumour")
    answer = page.locator("#answer")
    expect(answer).to_contain_text("Confidence 94.1 %")
    expect(answer).to_contain_text("Of 100 scans with such a probability, about 94 should show")
    expect(answer).to_contain_text("brain_tumor, version 7")
    expect(answer).to_contain_text(re.compile(r"\d+\sms \(reading \d+\sms, model \d+\sms"))
    said = "Risk high. Probability of a tumour 94.1 %. Low is below 25.0 %, high from 75.0 %"
    expect(answer.get_by_role("img", name=said)).to_be_visible()
    expect(answer.get_by_alt_text("Your scan, as the model sees it")).to_be_visible()
    expect(answer.locator(".bands .here")).to_have_text(re.compile("^High.*This scan lies here"))
    expect(answer).not_to_contain_text("in 100 show")  # this version's card has no such figures

    choose(page, picture(20))
    answered(page, "No tumour")
    choose(page, picture(120))
    answered(page, "Unsure")
    expect(answer).to_contain_text("Leans to: no tumour.")
    expect(
        page.get_by_text("Not a medical device. For research and teaching.").first
    ).to_be_visible()


def test_the_evidence_can_be_turned_down_by_keyboard(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    choose(page, picture(240))
    overlay = page.get_by_alt_text("Evidence map over the scan")
    expect(overlay).to_have_css("opacity", "0.45")
    expect(page.locator("#answer figcaption")).to_contain_text("It is not a segmentation")
    slider = page.get_by_role("slider", name="Evidence map")
    slider.press("Home")
    expect(overlay).to_have_css("opacity", "0")
    slider.press("ArrowRight")
    expect(overlay).to_have_css("opacity", "0.05")
    expect(page.locator("#answer output")).to_have_text("5 %")


def test_what_is_no_brain_mri_gets_a_refusal_in_place_of_an_answer(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    model_server.in_distribution = False
    page = open_page(front_end)
    choose(page, picture(240))
    answer = page.locator("#answer")
    expect(answer.get_by_role("alert")).to_contain_text(
        "This does not look like a brain MRI like those the model knows, so there is no answer."
    )
    expect(verdict(page)).to_have_text("No answer to this image")
    expect(answer).not_to_contain_text("Confidence")
    expect(answer.locator("img.map")).to_have_count(0)
    bar = answer.locator(".risk")
    expect(bar).to_be_hidden()
    answer.get_by_text("What the model would have said").click()
    expect(bar).to_be_visible()


def test_a_doubtful_image_is_answered_with_a_warning(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    choose(page, picture(120))  # hardly any grey levels
    warning = page.locator("#answer .warning")
    expect(warning).to_contain_text("The answer may be worse than usual")
    expect(warning.get_by_role("listitem").first).to_contain_text("grey levels")


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "The file is empty."),
        (b"hello", "This is not a"),
        (picture(120)[:-300], "The image is damaged or incomplete."),
        (b"x" * (16 * 2**20 + 1), re.compile("larger than|not a")),
    ],
    ids=["empty", "text", "truncated", "large"],
)
def test_a_wrong_file_is_explained_and_replaces_the_last_answer(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    payload: bytes,
    sentence: str | re.Pattern[str],
) -> None:
    page = open_page(front_end)
    answer = page.locator("#answer")
    choose(page, picture(240))
    answered(page, "Tumour")
    for _ in range(2):  # the second time, too, the panel must leave "Reading the scan"
        choose(page, payload)
        expect(answer.get_by_role("alert")).to_contain_text(sentence)
        expect(answer).not_to_contain_text("Confidence")
    choose(page, picture(20))
    answered(page, "No tumour")


def test_an_outage_of_the_model_server_is_explained_and_survived(
    front_end: FrontEnd, model_port: int, open_page: OpenPage
) -> None:
    with scripted_server(model_port):
        page = open_page(front_end)
        choose(page, picture(240))
        answered(page, "Tumour")
    alert = page.locator("#answer").get_by_role("alert")
    choose(page, picture(240))
    expect(alert).to_contain_text("The model server cannot be reached. Your scan was not analysed")
    with scripted_server(model_port) as server:
        eventually(
            lambda: front_end.http.get("/readyz").status_code == 200,
            "the front end finds the server again",
        )
        choose(page, picture(20))
        answered(page, "No tumour")
        server.behaviour = "hangs"
        choose(page, picture(240))
        expect(page.locator("#answer")).to_contain_text("Reading the scan")
        expect(alert).to_contain_text("took too long")


def test_known_scans_get_the_right_answer(
    local_server: RunningServer,
    samples: dict[str, list[Path]],
    free_port: Callable[[], int],
    tmp_path: Path,
    open_page: OpenPage,
) -> None:
    # Two clear cases: this is about the way to the page; how often the model errs, its card says.
    tumour = next(path for path in samples["yes"] if path.stem == "cheng_2260_glioma")
    normal = next(path for path in samples["no"] if path.stem == "colin27_a50")
    log = tmp_path / "log.txt"
    with running_front_end(free_port(), log, "--server", local_server.grpc) as front_end:
        page = open_page(front_end)
        scan, shown = page.locator("#answer img.scan").last, "none yet"
        for path, said in ((tumour, r"(?<!No )Tumour|to: tumour"), (normal, r"No tumour|to: no")):
            page.locator(DROP_ZONE).set_input_files(path)
            expect(scan).not_to_have_attribute("src", shown)
            expect(page.locator("#answer .verdict")).to_contain_text(re.compile(said))
            shown = scan.get_attribute("src") or ""
        measured = r"Of [\d,]+ test scans called {}, .+ 100 show a tumour \(95\s% interval \d+ to"
        for risk in ("low", "medium", "high"):
            expect(page.locator("#answer .bands")).to_contain_text(
                re.compile(measured.format(risk))
            )
        expect(page.locator("#answer figcaption")).to_contain_text(
            re.compile(r"strongest point lies inside the tumour in \d+ of 100")
        )
