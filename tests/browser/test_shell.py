"""The page around the parts: languages, colours, keyboard, narrow and wide, no other host."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.scans import DROP_ZONE, answered, choose, picture
from tests.ui.front_end import FrontEnd
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser


def test_the_language_can_be_switched_and_stays(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_label("Language").select_option("Deutsch")
    for _ in range(2):
        expect(page.get_by_role("heading", level=1)).to_have_text("Hirntumor-Klassifikator")
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.get_by_role("tab")).to_have_text(["Auswerten", "Modell", "API"])
        page.wait_for_selector("#answer .panel")
        page.reload()
    choose(page, picture(240))
    answered(page, "Tumor")
    expect(page.locator("#answer")).to_contain_text("Sicherheit 94,1 %")
    choose(page, b"")
    expect(page.locator("#answer").get_by_role("alert")).to_contain_text("Die Datei ist leer.")


def test_a_browser_that_keeps_nothing_shows_the_page_all_the_same(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage',"
        " { get() { throw new DOMException('blocked', 'SecurityError'); } })"
    )
    page.reload()
    page.get_by_label("Colours").select_option("Dark")
    expect(page.locator("body")).to_have_class("dark")
    page.get_by_label("Language").select_option("Deutsch")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hirntumor-Klassifikator")


def test_the_browser_says_which_language_comes_first(
    front_end: FrontEnd, open_page: OpenPage
) -> None:
    page = open_page(front_end, locale="de-AT")
    expect(page.get_by_role("tab").first).to_have_text("Auswerten")
    page = open_page(front_end, locale="fr-FR")
    expect(page.get_by_role("tab").first).to_have_text("Analyse")


@pytest.mark.parametrize("width", [320, 1440])
def test_the_tabs_are_named_however_wide_the_window_becomes(
    front_end: FrontEnd, open_page: OpenPage, width: int
) -> None:
    page = open_page(front_end, width, locale="de-DE")
    for other in (1440 + 320 - width, width):
        page.set_viewport_size({"width": other, "height": 844})
        expect(page.get_by_role("tab")).to_have_text(["Auswerten", "Modell", "API"])


def test_the_colours_follow_the_system_unless_one_is_chosen(
    front_end: FrontEnd, open_page: OpenPage
) -> None:
    light, dark = "rgb(245, 247, 249)", "rgb(17, 23, 28)"
    page = open_page(front_end, color_scheme="light")
    ground = page.locator(".gradio-container")
    expect(ground).to_have_css("background-color", light)
    page.emulate_media(color_scheme="dark")
    expect(ground).to_have_css("background-color", dark)

    page.get_by_label("Colours").select_option("Light")
    expect(ground).to_have_css("background-color", light)
    page.reload()
    expect(page.get_by_label("Colours")).to_have_value("light")
    expect(ground).to_have_css("background-color", light)
    page.emulate_media(color_scheme="light")
    page.get_by_label("Colours").select_option("Dark")
    expect(ground).to_have_css("background-color", dark)
    page.get_by_label("Colours").select_option("System colours")
    expect(ground).to_have_css("background-color", light)


def test_the_keyboard_comes_by_everything(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage
) -> None:
    page = open_page(front_end)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Language")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(DROP_ZONE)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Choose a folder")).to_be_focused()
    page.keyboard.press("Tab")
    sample = page.locator("#samples button").first
    expect(sample).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#answer .answer")).to_be_visible()
    expect(sample).to_be_focused()  # an answer is announced; it takes no focus
    expect(page.locator(".analyse > [role=status]")).to_contain_text("Answer: ")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_scrolls_sideways(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    width: int,
    language: str,
) -> None:
    page = open_page(front_end, width, locale=language)
    for level, shown in ((0, "0.1 %"), (255, "99.9 %")):  # the longest, at either end
        choose(page, picture(level))
        shown = shown.replace(".", ",") if language == "de" else shown
        expect(page.locator("#answer .risk .value")).to_contain_text(shown)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        panel = page.locator("#answer .panel").bounding_box()
        for part in page.locator("#answer .risk span").all():
            box = part.bounding_box()
            assert panel is not None
            assert box is not None
            assert panel["x"] <= box["x"]
            assert box["x"] + box["width"] <= panel["x"] + panel["width"]
    for tick in page.locator("#history .tick").all():
        tick.click()
    page.locator("#history .ways button").first.click()
    expect(page.locator("#answer .panel")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


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
    choose(page, picture(240))
    expect(page.locator("#answer")).to_contain_text("Confidence")
    for tab in page.get_by_role("tab").all():
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
    page.goto(f"{front_end.address}/docs")
    expect(page.get_by_role("heading", name="POST /upload")).to_be_visible()
    assert len(asked) > 10
    foreign = [u for u in asked if not u.startswith((front_end.address, "data:"))]
    assert foreign == []
    assert failures == []
    assert page.context.cookies() == []
