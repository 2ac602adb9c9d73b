"""The page as a person meets it: answers, refusals, outages, the phone, the keyboard."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import RunningServer
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import ScriptedServer, scripted_server

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]


def picture(level: int) -> bytes:
    """A picture of mean brightness `level`, but for a corner that keeps it from being blank."""
    pixels = np.full((224, 224, 3), level, np.uint8)
    pixels[:5, :5] = 255 - level if level in (0, 255) else level + 10
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def drop(page: Page, payload: bytes, name: str = "scan.png", kind: str = "image/png") -> None:
    """Choose a file through the drop zone."""
    page.locator("#scan input").set_input_files({"name": name, "mimeType": kind, "buffer": payload})


def test_the_answer_is_on_the_page(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    drop(page, picture(240))
    answer = page.locator("#answer")
    expect(answer.get_by_role("heading")).to_have_text("Tumour")
    expect(answer).to_contain_text("Confidence 94.1 %")
    expect(answer).to_contain_text("brain_tumor, version 7")
    expect(
        answer.get_by_role("img", name="Risk high. Probability of a tumour 94.1 %")
    ).to_be_visible()
    expect(answer.get_by_alt_text("Your scan, as the model sees it")).to_be_visible()

    drop(page, picture(20))
    expect(answer.get_by_role("heading")).to_have_text("No tumour")
    drop(page, picture(120))
    expect(answer.get_by_role("heading")).to_have_text("Unsure")
    expect(page.get_by_text("Not a medical device. For research and teaching.")).to_be_visible()


def test_a_file_can_be_dropped(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    transfer = page.evaluate_handle(
        "(bytes) => { const t = new DataTransfer();"
        "t.items.add(new File([new Uint8Array(bytes)], 'scan.png', {type: 'image/png'})); return t }",
        list(picture(240)),
    )
    page.dispatch_event("#scan .drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#answer").get_by_role("heading")).to_have_text("Tumour")


def test_an_unfamiliar_image_gets_a_warning(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    model_server.in_distribution = False
    page = open_page(front_end)
    drop(page, picture(240))
    expect(page.locator("#answer").get_by_role("alert")).to_contain_text(
        "This does not look like a brain MRI like the ones the model knows; do not rely on the answer."
    )


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "The file is empty."),
        (b"hello", "This is not a PNG, JPEG or WebP image."),
        (picture(120)[:-300], "The image is damaged or incomplete."),
        (b"x" * (16 * 2**20 + 1), "The file is larger than 16 MB."),
    ],
    ids=["empty", "text", "truncated", "large"],
)
def test_a_wrong_file_is_explained_and_replaces_the_last_answer(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    payload: bytes,
    sentence: str,
) -> None:
    page = open_page(front_end)
    answer = page.locator("#answer")
    drop(page, picture(240))
    expect(answer.get_by_role("heading")).to_have_text("Tumour")
    for _ in range(2):  # the second time, too, the panel must leave "Reading the scan"
        drop(page, payload)
        expect(answer.get_by_role("alert")).to_contain_text(sentence)
        expect(answer).not_to_contain_text("Confidence")
    drop(page, picture(20))
    expect(answer.get_by_role("heading")).to_have_text("No tumour")


def test_an_outage_of_the_model_server_is_explained_and_survived(
    front_end: FrontEnd, model_port: int, open_page: OpenPage
) -> None:
    answer = "#answer"
    with scripted_server(model_port):
        page = open_page(front_end)
        drop(page, picture(240))
        expect(page.locator(answer).get_by_role("heading")).to_have_text("Tumour")
    drop(page, picture(240))
    expect(page.locator(answer).get_by_role("alert")).to_contain_text(
        "The model server cannot be reached. Your scan was not analysed"
    )
    with scripted_server(model_port) as server:
        page.wait_for_timeout(2000)  # the client's own pause before it connects again
        drop(page, picture(20))
        expect(page.locator(answer).get_by_role("heading")).to_have_text("No tumour")
        server.behaviour = "hangs"
        drop(page, picture(240))
        expect(page.locator(answer)).to_contain_text("Reading the scan")
        expect(page.locator(answer).get_by_role("alert")).to_contain_text("took too long")


def test_samples_answer_by_mouse_and_by_keyboard(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    buttons = page.locator("#samples button")
    expect(buttons).to_have_count(12)
    expect(page.locator("#samples")).to_contain_text("figshare 1512427, CC BY 4.0")
    buttons.nth(1).click()
    expect(page.locator("#answer")).to_contain_text("Confidence")
    first = page.locator("#answer figure img").get_attribute("src")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#answer figure img")).not_to_have_attribute("src", first or "")
    expect(page.locator("#answer")).to_contain_text("Confidence")


@pytest.mark.parametrize("pause_ms", [0, 5, 20, 40, 60, 80, 100])
def test_of_two_quick_choices_the_second_is_answered(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, pause_ms: int
) -> None:
    page = open_page(front_end)
    picture_shown = page.locator("#answer .panel.answer figure img")
    sample = page.locator("#samples button")
    sample.nth(1).click()
    expect(page.locator("#answer")).to_contain_text("Confidence")
    second = picture_shown.get_attribute("src") or ""
    page.evaluate(
        """async (pause) => {
          const [first, second] = document.querySelectorAll("#samples button");
          first.click();
          await new Promise((done) => setTimeout(done, pause));
          second.click();
        }""",
        pause_ms,
    )
    expect(picture_shown).to_have_attribute("src", second)
    page.wait_for_timeout(500)  # nor may the first one's answer come after it
    expect(picture_shown).to_have_attribute("src", second)
    page.wait_for_timeout(500)  # nor may the first one's answer come after it
    expect(picture_shown).to_have_attribute("src", second)
    page.wait_for_timeout(500)  # nor may the first one's answer come after it
    expect(picture_shown).to_have_attribute("src", second)


def test_the_keyboard_reaches_the_drop_zone_first(front_end: FrontEnd, open_page: OpenPage) -> None:
    page = open_page(front_end)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('#scan input[type=file]')")


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_scrolls_sideways(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, width: int
) -> None:
    model_server.in_distribution = False
    page = open_page(front_end, width=width)
    for level, shown in ((0, "under 0.1 %"), (255, "over 99.9 %")):  # the longest, at either end
        drop(page, picture(level))
        expect(page.locator("#answer .risk .value")).to_have_text(shown)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        panel = page.locator("#answer .panel").bounding_box()
        for part in page.locator("#answer .risk span").all():
            box = part.bounding_box()
            assert panel is not None
            assert box is not None
            assert panel["x"] <= box["x"]
            assert box["x"] + box["width"] <= panel["x"] + panel["width"]


def test_nothing_is_asked_of_another_host(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    asked: list[str] = []
    failures: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console",
        lambda message: failures.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.reload()
    page.wait_for_selector("#answer .panel")
    drop(page, picture(240))
    expect(page.locator("#answer")).to_contain_text("Confidence")
    page.goto(f"{front_end.address}/docs")
    expect(page.get_by_role("heading", name="POST /upload")).to_be_visible()
    assert len(asked) > 10
    foreign = [u for u in asked if not u.startswith((front_end.address, "data:"))]
    assert foreign == []
    assert failures == []
    assert page.context.cookies() == []


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
        verdict, shown = page.locator("#answer .verdict"), "none yet"
        for path, said in ((tumour, r"(?<!No )Tumour|to: tumour"), (normal, r"No tumour|to: no")):
            page.locator("#scan input").set_input_files(path)
            expect(page.locator("#answer figure img")).not_to_have_attribute("src", shown)
            expect(verdict).to_contain_text(re.compile(said))
            shown = page.locator("#answer figure img").get_attribute("src") or ""
