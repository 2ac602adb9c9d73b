"""The samples that the page offers."""

import httpx

from data.imaging import prepare_scan
from tests.ui.test_texts import LANGUAGES
from ui.samples import load_samples


def test_every_sample_is_a_scan_with_a_caption_in_every_language(api: httpx.Client) -> None:
    listed = api.get("/page/samples").json()
    assert len(listed["samples"]) == 12
    assert "CC BY 4.0" in listed["attribution"]
    for row in listed["samples"]:
        scan = api.get(f"/page/samples/{row['id']}")
        assert scan.headers["content-type"] == "image/jpeg"
        assert prepare_scan(scan.content).shape == (224, 224, 3)
        assert row["thumbnail"].startswith("data:image/webp;base64,")
        for texts in LANGUAGES.values():
            assert f"samples.{row['kind']}" in texts


def test_there_is_nothing_beside_the_samples(api: httpx.Client) -> None:
    for number in ("12", "-1", "..%2f..%2fmanifest.csv"):
        assert api.get(f"/page/samples/{number}").status_code in (404, 422)


def test_without_samples_the_gallery_is_empty(tmp_path) -> None:
    assert load_samples(tmp_path) == []
