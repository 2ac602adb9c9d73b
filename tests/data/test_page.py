"""The page shows what the dataset holds, needs nothing else, and escapes what others wrote."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from data.__main__ import main
from data.label_issues import LabelIssue, write_label_issues
from data.labels import Label
from data.manifest import read_manifest

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def page(pile, run_prepare, tmp_path) -> Page:
    with Image.open(pile / "no" / "mni152_c50.png") as image:
        ImageOps.mirror(image).save(pile / "no" / "mirror.png")
        image.rotate(10).save(pile / "no" / "turned.png")
        image.point([v // 6 for v in range(256)] * 3).save(pile / "no" / "dim.png")
        image.resize((400, 90)).save(pile / "no" / "strip.png")
    (pile / "no" / "half.png").write_bytes((pile / "no" / "mirror.png").read_bytes()[:900])
    (pile / "yes").rename(pile / "no" / "aside")
    hostile = pile / "yes" / HOSTILE.replace("/", "&")
    hostile.parent.mkdir()
    (pile / "no" / "aside").rename(hostile)
    scans = run_prepare(pile)
    out = tmp_path / "out"
    doubtful = next(scan for scan in scans if scan.label is Label.NO_TUMOR)
    issue = LabelIssue(
        path=doubtful.path,
        sha256=doubtful.sha256,
        source=doubtful.source,
        label=doubtful.label,
        probability=0.93,
        quality=0.07,
    )
    write_label_issues(out, [issue])
    assert main(["report", str(out), "--html", str(tmp_path / "pages" / "report.html")]) == 0
    return Page((tmp_path / "pages" / "report.html").read_text(encoding="utf-8"))


def test_it_shows_what_the_dataset_holds(page: Page, tmp_path: Path) -> None:
    scans = read_manifest(tmp_path / "out")
    assert f"{len(scans)} scans" in page.text
    assert "No group and no patient is in more than one split." in page.text
    assert "low contrast pile 1" in page.text
    assert "2 files were not used" in page.text
    assert "aspect" in page.text
    assert "corrupt" in page.text
    assert "after registration" in page.text
    assert "1 scan whose label disagrees" in page.text
    assert "P(tumour) 0.93" in page.text
    with (tmp_path / "out" / "duplicates.csv").open() as file:
        joined = sum(row["joined"] == "True" for row in csv.DictReader(file))
    assert f"{joined} pairs show one picture" in page.text
    sides = [max(scan.width, scan.height) for scan in scans if scan.source == "pile"]
    assert f"{min(sides)} to {max(sides)}" in page.text


def test_it_needs_no_other_file(page: Page) -> None:
    images = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(images) >= 6
    assert all(src and src.startswith("data:image/jpeg;base64,") for src in images)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert sum(tag == "svg" for tag, _ in page.tags) >= 2


def test_what_others_wrote_is_escaped(page: Page) -> None:
    assert "script" not in {tag for tag, _ in page.tags}
    assert re.search(r"<script>alert\(1\)<&script>", page.text)


def test_an_unaudited_dataset_without_doubts_has_a_page(pile, run_prepare, tmp_path) -> None:
    run_prepare(pile)
    html = tmp_path / "report.html"
    assert main(["report", str(tmp_path / "out"), "--html", str(html)]) == 0
    text = Page(html.read_text()).text
    assert "looks for them" in text
    assert "None." in text
