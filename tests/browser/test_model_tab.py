"""The model tab: the card says what its JSON says, in words, tables and plots; versions side by side."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import OpenTab
from tests.browser.looks import LOOKS, overflowing
from tests.conftest import ROOT
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import VERSION, ScriptedServer
from ui.words import words_of

pytestmark = pytest.mark.browser

MODELS = ROOT / "models" / "brain_tumor"


def card(version: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MODELS / str(version) / "model_card.json").read_text())
    return found


def shown(figure: dict[str, float]) -> str:
    return words_of("en").number(figure["value"], 3)


def percent(figure: dict[str, float]) -> str:
    return words_of("en").percent(figure["value"])


@pytest.fixture(scope="module")
def page_server(
    model_port: int, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontEnd]:
    """A front end that knows where the shipped models lie; its model server serves another version."""
    log = tmp_path_factory.mktemp("front_end") / "log.txt"
    flags = ("--server", f"127.0.0.1:{model_port}", "--model-directory", str(MODELS))
    with running_front_end(free_port(), log, *flags, "--timeout-s", "2") as running:
        yield running


def row(part: Locator, name: str) -> Locator:
    return part.get_by_role("row").filter(
        has=part.page.get_by_role("rowheader", name=re.compile(f"^{re.escape(name)}"))
    )


def test_a_card_without_figures_says_that_they_were_not_measured(
    front_end: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab
) -> None:
    page = open_tab(front_end, "model")
    model = page.locator("#model_tab")
    expect(model.get_by_role("heading", name="Model brain_tumor")).to_be_visible()
    expect(model.get_by_label("Version", exact=True).locator("option")).to_have_text(
        [f"{VERSION}: answers now"]
    )
    expect(model.locator("#model-figures")).to_contain_text("Not measured for this version.")
    expect(model.locator("#model-elsewhere")).to_contain_text("Not measured for this version.")
    expect(model.locator("#model-plots")).to_contain_text("--model-directory")
    expect(model.locator("#model-versions")).to_contain_text("nothing to compare")
    expect(row(model.locator("#model-bands"), "High")).to_contain_text("0.750")


def test_the_shipped_card_is_told_in_words_tables_and_plots(
    page_server: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab
) -> None:
    said = card(3)
    page = open_tab(page_server, "model")
    model = page.locator("#model_tab")
    model.get_by_label("Version", exact=True).select_option("3")
    expect(model.locator(".plate").first).to_contain_text("on disk, not served")

    test = said["metrics"]["test"]
    figures = model.locator("#model-figures")
    expect(figures).to_contain_text(f"{test['n']:,} scans of {test['groups']} groups")
    for name in ("auc", "sensitivity", "specificity", "ece", "brier"):
        expect(figures.locator(".tiles")).to_contain_text(shown(test[name]))
    floor = said["metrics"]["shortcut_floor"]["test"]["auc"]
    expect(figures.locator(".tiles")).to_contain_text(f"shortcut floor {shown(floor)}")
    expect(row(figures, "cheng")).to_contain_text("undefined")

    elsewhere = model.locator("#model-elsewhere")
    rows = {one["source"]: one for one in said["leave_one_source_out"]["rows"]}
    single = [
        one for name, one in rows.items() if "+" not in name and one["report"]["auc"]["value"]
    ]
    worst = min(single, key=lambda one: one["report"]["auc"]["value"])
    best = max(single, key=lambda one: one["report"]["auc"]["value"])
    expect(elsewhere.locator(".heart")).to_contain_text(
        f"At home its AUC is {shown(test['auc'])}; on a source that it never saw it lies between "
        f"{shown(worst['report']['auc'])} ({worst['source']}) and "
        f"{shown(best['report']['auc'])} ({best['source']})."
    )
    before = {one["source"]: one for one in said["leave_one_source_out"]["before"]["rows"]}
    for source in ("nav", "tcga_lgg"):
        now, then = rows[source]["report"], before[source]["report"]
        line = row(elsewhere, f"{source} {now['n']:,}")
        for figure in (
            now["auc"],
            then["auc"],
            rows[source]["shortcut"]["auc"],
            now["specificity"],
        ):
            expect(line).to_contain_text(shown(figure))
        plot = line.get_by_role("img")
        expect(plot).to_have_accessible_name(re.compile(f"AUC now {shown(now['auc'])}.*floor"))
        box = plot.locator(".symbol.now circle").bounding_box()
        frame = plot.bounding_box()
        assert box is not None
        assert frame is not None
        at = (box["x"] + box["width"] / 2 - frame["x"]) / frame["width"]
        assert at == pytest.approx((now["auc"]["value"] - 0.35) / 0.65, abs=0.01)

    high = said["decisions"]["test"]["risk"]["high"]
    bands = model.locator("#model-bands")
    expect(row(bands, "High").last).to_contain_text(percent(high["tumor_rate"]))
    for threshold in ("low", "high"):
        expect(bands).to_contain_text(said["thresholds_chosen_for"][threshold])
    body = said["out_of_distribution"]["no_brain_mri"]["families"]["mri_body"]["refused"]
    expect(row(model.locator("#model-refusals"), "mri body")).to_contain_text(percent(body))
    hits = said["evidence_map"]["hit_rate"]
    expect(model.locator("#model-map")).to_contain_text(percent(hits))
    expect(model.locator("#model-map")).to_contain_text("it is not a segmentation")
    for limit in said["limits"]:
        expect(model.locator("#model-limits")).to_contain_text(limit)
    expect(model.locator("#model-data")).to_contain_text("CC BY-NC-SA 4.0")
    for fact in (said["git_commit"], said["libraries"]["tensorflow"], said["reproduce"][0]):
        expect(model.locator("#model-origin")).to_contain_text(fact)


@pytest.mark.parametrize("version", [2, 1])
def test_older_cards_tell_what_they_have(
    page_server: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab, version: int
) -> None:
    page = open_tab(page_server, "model")
    model = page.locator("#model_tab")
    model.get_by_label("Version", exact=True).select_option(str(version))
    figures = model.locator("#model-figures")
    expect(figures.locator(".tiles")).to_contain_text(
        shown(card(version)["metrics"]["test"]["auc"])
    )
    expect(model.locator("#model-limits li").first).to_be_visible()
    expect(model.get_by_text("this page cannot read")).to_have_count(0)
    if version == 1:
        for part in ("elsewhere", "map"):
            expect(model.locator(f"#model-{part}")).to_contain_text("Not measured")


def test_a_part_of_unknown_shape_leaves_the_others(
    model_server: ScriptedServer,
    open_tab: OpenTab,
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    (tmp_path / "8").mkdir()
    odd = {"metrics": {"test": {"auc": 0.9}}, "limits": ["None known."], "leave_one_source_out": 3}
    (tmp_path / "8" / "model_card.json").write_text(json.dumps(odd))
    flags = ("--server", model_server.address, "--model-directory", str(tmp_path))
    with running_front_end(free_port(), tmp_path / "log.txt", *flags) as running:
        model = open_tab(running, "model").locator("#model_tab")
        model.get_by_label("Version", exact=True).select_option("8")
        expect(model.locator("#model-limits")).to_contain_text("None known.")
        expect(model.locator("#model-figures")).to_contain_text("this page cannot read")
        expect(model.locator("#model-elsewhere")).to_contain_text("Not measured")


def test_plots_are_shown_and_the_card_can_be_taken_along(
    page_server: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab
) -> None:
    page = open_tab(page_server, "model")
    model = page.locator("#model_tab")
    model.get_by_label("Version", exact=True).select_option("3")
    plots = model.locator("#model-plots img")
    expect(plots).to_have_count(len(list((MODELS / "3" / "plots").glob("*.png"))))
    for plot in plots.all():
        plot.scroll_into_view_if_needed()
        expect(plot).to_have_js_property("complete", True)
        assert plot.evaluate("(image) => image.naturalWidth") > 300
    with page.expect_download() as download:
        model.get_by_role("link", name="Download the whole card").click()
    assert download.value.suggested_filename == "model_card_3.json"
    assert json.loads(download.value.path().read_text()) == card(3)


def compared(line: Locator, *versions: int) -> None:
    """A row's cells are those of these versions, as their column says, or the cell itself on a phone."""
    expect(line).to_have_count(len(versions))
    for cell, version in zip(line.all(), versions, strict=True):
        expect(cell).to_have_attribute("data-label", f"Version {version}")


def test_versions_side_by_side(
    page_server: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab
) -> None:
    page = open_tab(page_server, "model")
    versions = page.locator("#model-versions")
    line = row(versions, "AUC, test").get_by_role("cell")
    compared(line, VERSION, 3, 2)
    expect(versions.get_by_label("1 (on disk, not served)")).to_be_disabled()
    versions.get_by_label(f"{VERSION} (answers now)").uncheck()
    versions.get_by_label("1 (on disk, not served)").check()
    compared(line, 3, 2, 1)
    expect(line).to_contain_text([shown(card(n)["metrics"]["test"]["auc"]) for n in (3, 2, 1)])
    expect(row(versions, "ECE, test").get_by_role("cell").last).to_have_text("not measured")
    expect(versions).to_contain_text("compare figures with care")
    for number in (3, 2):
        versions.get_by_label(re.compile(f"^{number} ")).uncheck()
    expect(versions).to_contain_text("Choose two or three versions.")


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_is_cut_off(
    page_server: FrontEnd,
    model_server: ScriptedServer,
    open_tab: OpenTab,
    width: int,
    scheme: str,
    language: str,
) -> None:
    page = open_tab(page_server, "model", width, scheme, language)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.locator("#model-version").select_option("3")
    expect(page.locator("#model-elsewhere .forest.row").first).to_be_visible()
    expect(page.locator("#model-versions table")).to_be_visible()
    assert overflowing(page, ".model section, .model table, .model td, .model th, .model svg") == []
    assert errors == []


def test_the_address_in_a_report_opens_the_card(
    page_server: FrontEnd, model_server: ScriptedServer, browser: Browser
) -> None:
    page = browser.new_page()
    page.goto(f"{page_server.address}/?tab=model&version=3&lang=en")
    expect(page.locator("#model_tab .plate").first).to_contain_text("efficientnet_lite0")
    expect(page.get_by_role("tab", name="Model")).to_have_attribute("aria-selected", "true")
    page.close()


def test_an_outage_is_told_and_can_be_tried_again(
    page_server: FrontEnd, model_server: ScriptedServer, open_tab: OpenTab
) -> None:
    model_server.behaviour = "missing"
    page = open_tab(page_server, "model")
    alert = page.locator("#model_tab").get_by_role("alert")
    expect(alert).to_contain_text("no version of the model is ready")
    model_server.behaviour = "answers"
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator("#model-figures")).to_be_visible()
