"""A volume on the page: curve, slider and picture in step, top slices, refusal, what goes wrong half way."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import grave_findings
from tests.browser.conftest import OpenPage
from tests.browser.scans import DROP_ZONE
from tests.data.medical import grey, nifti, packed, series
from tests.ui.front_end import FrontEnd, running_front_end
from tests.ui.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser

#: Slices of air at either end, and in between a head that grows brighter up to the slice `BRIGHTEST`.
AIR, LENGTH, BRIGHTEST = 4, 48, 30


@pytest.fixture(scope="module")
def volume(samples: dict[str, list[Path]]) -> bytes:
    """A head of one scan, axial, 1.5 mm from slice to slice."""
    scan = grey(samples["no"][0], 96).astype(np.float32)
    levels = [max(0.25, 1 - abs(at - BRIGHTEST + 1) / 30) for at in range(LENGTH)]
    levels[:AIR] = levels[-AIR:] = [0.0] * AIR
    slices = [(scan * level).astype(np.uint8)[::-1, ::-1].T for level in levels]
    return nifti(np.stack(slices, axis=2), np.diag([1, 1, 1.5, 1]))


def choose(page: Page, payloads: Sequence[bytes], name: str = "scan-{}.nii") -> None:
    files = [
        {"name": name.format(n), "mimeType": "application/octet-stream", "buffer": payload}
        for n, payload in enumerate(payloads)
    ]
    page.locator(DROP_ZONE).set_input_files(files)


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Slice", exact=True)


def settled(page: Page) -> None:
    """All slices are there."""
    expect(page.locator(".volume:has(progress[hidden])")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1440])
def test_curve_slider_and_picture_move_together(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    volume: bytes,
    width: int,
) -> None:
    page = open_page(front_end, width=width)
    choose(page, [volume])
    view = page.locator(".volume")
    expect(view.get_by_role("heading", level=2)).to_have_text(
        f"Volume of {LENGTH} slices, axial, 1.5 mm apart"
    )
    settled(page)
    expect(view.locator(".counts")).to_contain_text(f"{2 * AIR} empty")
    expect(view).to_contain_text("For the whole volume there is no calibrated probability")
    # It begins at the highest slice; the page counts from 1.
    expect(slider(page)).to_have_attribute(
        "aria-valuetext", re.compile(rf"^Slice {BRIGHTEST} of {LENGTH}, at 44 mm: ")
    )
    expect(view.locator(".curve .dot")).to_have_count(LENGTH - 2 * AIR)
    first = view.locator(".picture").get_attribute("src") or ""

    slider(page).focus()
    page.keyboard.press("ArrowRight")
    expect(slider(page)).to_have_attribute("aria-valuetext", re.compile(f"^Slice {BRIGHTEST + 1} "))
    expect(view.locator(".said h3")).to_have_text(f"Slice {BRIGHTEST + 1} of {LENGTH}, at 45 mm")
    expect(view.locator(".picture")).not_to_have_attribute("src", first)
    page.keyboard.press("Home")
    expect(view.locator(".said")).to_contain_text("Empty: there is nothing but air")
    expect(view.locator(".map")).to_be_hidden()

    curve = view.locator(".curve").bounding_box()
    assert curve is not None
    view.locator(".curve").hover(position={"x": curve["width"] - 26, "y": 40})
    expect(slider(page)).to_have_value(str(LENGTH - 1))
    view.locator(".peaks button").first.click()
    expect(slider(page)).to_have_value(str(BRIGHTEST - 1))
    expect(view.locator(".peaks button").first).to_have_attribute("aria-pressed", "true")

    opacity = page.get_by_role("slider", name="Evidence map")
    opacity.focus()
    page.keyboard.press("Home")
    expect(view.locator(".map")).to_have_css("opacity", "0")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_grave(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    volume: bytes,
    width: int,
    theme: str,
) -> None:
    page = open_page(front_end, width, color_scheme=theme, reduced_motion="reduce")
    choose(page, [volume])
    settled(page)
    page.get_by_text("The curve as a table").click()
    assert grave_findings(page) == []


def test_the_curve_is_told_in_words_and_as_a_table(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, volume: bytes
) -> None:
    page = open_page(front_end)
    choose(page, [volume])
    settled(page)
    name = re.compile(rf"Probability of a tumour along the volume, highest at slice {BRIGHTEST} ")
    expect(page.get_by_role("img", name=name)).to_be_visible()
    page.get_by_text("The curve as a table").click()
    rows = page.locator(".as-table tbody tr")
    expect(rows).to_have_count(LENGTH)
    expect(rows.first).to_have_text("1empty")
    expect(rows.nth(BRIGHTEST - 1)).to_contain_text("%")


def test_slices_unlike_the_training_scans_leave_a_gap_and_are_not_counted(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, volume: bytes
) -> None:
    page = open_page(front_end)
    choose(page, [volume])
    settled(page)
    highest = page.locator(".peaks .pill").first.inner_text()
    model_server.familiar_up_to = float(highest.split()[0]) / 100 - 0.05
    choose(page, [volume])
    expect(page.locator(".counts")).to_contain_text("not counted, as they do not look familiar")
    settled(page)
    assert page.locator(".curve polyline").count() == 2
    assert page.locator(".curve .dot").count() < LENGTH - 2 * AIR
    for _ in range(BRIGHTEST - 1 - int(slider(page).input_value())):
        slider(page).press("ArrowRight")
    expect(page.locator(".said")).to_contain_text("gives no figure")
    expect(page.locator(".said")).not_to_contain_text("%")


def test_a_volume_of_nothing_familiar_is_refused_without_figures(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, volume: bytes
) -> None:
    model_server.in_distribution = False
    page = open_page(front_end)
    choose(page, [volume])
    settled(page)
    expect(page.get_by_role("alert")).to_contain_text("Not a brain MRI the model can judge")
    expect(page.locator(".curve")).to_be_hidden()
    expect(page.locator(".volume .picture")).to_be_visible()
    assert "%" not in page.locator(".volume").inner_text()


def test_a_model_replaced_half_way_is_said_beside_what_came(
    front_end: FrontEnd, model_server: ScriptedServer, open_page: OpenPage, volume: bytes
) -> None:
    model_server.swap_after = 1
    page = open_page(front_end)
    choose(page, [volume])
    failure = page.locator(".volume .failure")
    expect(failure).to_contain_text("The model was replaced by another version")
    expect(failure).to_contain_text(f"{AIR + 16} of {LENGTH} slices were answered.")
    expect(page.locator(".curve .dot")).to_have_count(16)


def test_stopping_keeps_the_slices_that_came(
    model_server: ScriptedServer,
    open_page: OpenPage,
    volume: bytes,
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    model_server.hang_after = 1
    flags = ("--server", model_server.address, "--timeout-s", "60")
    with running_front_end(free_port(), tmp_path / "log.txt", *flags) as patient:
        page = open_page(patient)
        choose(page, [volume])
        expect(page.locator(".volume")).to_contain_text(f"{AIR + 16} of {LENGTH} slices answered")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".volume .failure")).to_have_text(
            f"Stopped. {AIR + 16} of {LENGTH} slices were answered."
        )
        expect(page.locator(".curve .dot")).to_have_count(16)
        model_server.release.set()


def test_a_series_of_files_is_one_volume_and_one_in_an_archive_opens_from_the_table(
    front_end: FrontEnd,
    model_server: ScriptedServer,
    open_page: OpenPage,
    samples: dict[str, list[Path]],
) -> None:
    scan = grey(samples["no"][0], 96)
    files = series([(scan * (0.4 + 0.03 * n)).astype(np.uint8) for n in range(20)])
    page = open_page(front_end)
    choose(page, files, name="IM{}")
    title = "Volume of 20 slices, axial, 5.0 mm apart"
    expect(page.locator(".volume h2")).to_have_text(title)
    settled(page)

    archive = packed({f"head/IM{n}": one for n, one in enumerate(files)} | {"note.txt": b"hello"})
    choose(page, [archive], name="study-{}.zip")
    expect(page.locator(".scans tbody tr")).to_have_count(2)
    page.locator(".scans tbody tr").first.get_by_role("button").click()
    detail = page.get_by_role("dialog")
    expect(detail.locator(".volume h2")).to_have_text(title)
    expect(detail.locator(".curve .dot")).to_have_count(20)
