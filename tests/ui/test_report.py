"""The PDF report, read back: what is on its one page, in both languages, and what never is."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from tests.conftest import ROOT
from tests.data.medical import dicom
from tests.ui.pictures import BRIGHT, DIM, error_of, picture
from tests.ui.scripted_server import ScriptedServer
from ui.analyse import OnlySlice
from ui.pictures import data_url
from ui.report import render_report
from ui.schema import (
    Decision,
    Latency,
    ModelVersion,
    QualityWarning,
    SliceResult,
    ThresholdValues,
)
from ui.words import LANGUAGES, words_of

NAME = "Jörg Müßig-Ångström d’Œuvre"
MADE = datetime(2026, 11, 24, 14, 5, tzinfo=UTC)
CARD_URL = "https://scans.example/brain/?tab=model"


def report(api: httpx.Client, payload: bytes, file: str = "a.png", **query: str) -> httpx.Response:
    name = query.pop("name", None)
    return api.post(
        "/api/v1/report",
        files={"file": (file, payload)},
        data={} if name is None else {"name": name},
        params=query,
    )


def page_of(pdf: bytes) -> str:
    """The text of the only page, in one line."""
    pages = PdfReader(io.BytesIO(pdf)).pages
    assert len(pages) == 1
    width, height = (float(side) * 25.4 / 72 for side in pages[0].mediabox[2:])
    assert (round(width), round(height)) == (210, 297)
    return plain(pages[0].extract_text())


def plain(text: str) -> str:
    """Spaces that do not break, and breaks, as spaces."""
    return " ".join(text.split())


def shipped_card() -> dict[str, Any]:
    newest = max((ROOT / "models" / "brain_tumor").iterdir(), key=lambda path: path.name)
    card: dict[str, Any] = json.loads((newest / "model_card.json").read_text())
    return card


def answered(decision: Decision, warnings: list[QualityWarning] | None = None) -> OnlySlice:
    one = SliceResult(
        index=0,
        decision=decision,
        warnings=warnings or [],
        picture=data_url(Image.new("RGB", (224, 224), (120, 120, 120))),
        overlay=data_url(Image.new("RGBA", (224, 224), (208, 0, 0, 90))),
    )
    return OnlySlice(
        slice=one,
        decision=decision,
        model=ModelVersion(name="brain_tumor", version=3),
        thresholds=ThresholdValues(low=0.05, label=0.5, high=0.78),
        latency_ms=Latency(prepare=4.4, model=20.4),
    )


def decision(probability: float, risk: str, *, known: bool = True) -> Decision:
    label = "tumor" if probability >= 0.5 else "no_tumor"
    return Decision.model_validate(
        {
            "label": label,
            "probability": probability,
            "confidence": max(probability, 1 - probability),
            "risk": risk,
            "in_distribution": known,
            "ood_score": 0.4 if known else 3.25,
        }
    )


def rendered(answer: OnlySlice, language: str = "en", name: str = "") -> bytes:
    return render_report(
        answer, shipped_card(), words_of(language), made=MADE, card_url=CARD_URL, name=name
    )


def test_a_tumour_is_on_one_page_with_all_that_belongs_to_it(api: httpx.Client) -> None:
    response = report(api, picture(BRIGHT))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["cache-control"] == "no-store"
    text = page_of(response.content)
    for expected in (
        "Report on one scan",
        "Tumour",
        "94.1 %",
        "The probability reaches the high threshold. Of 100 scans with such a probability, about 94",
        "Low Medium High 0 0.250 0.750 1",
        "What the bands meant on test scans was not measured for this version.",
        "It is not a segmentation",
        "brain_tumor, version 7",
        "low below 0.250, tumour from 0.500, high from 0.750",
        "ms, of which the model",
        f"{api.base_url}/?tab=model",
    ):
        assert expected in text, expected
    assert text.count("Not a medical device. For research and teaching.") == 2
    assert datetime.now(UTC).strftime("%Y-%m-%d") in text


def test_none_and_unsure_are_said_as_such(api: httpx.Client) -> None:
    none = page_of(report(api, picture(DIM)).content)
    assert "No tumour" in none
    assert "7.8 %" in none
    assert "about 8 should show a tumour" in none
    unsure = page_of(report(api, picture(130)).content)
    assert "Unsure" in unsure
    assert "Do not read this as an answer." in unsure


def test_in_german_with_its_own_letters_and_commas(api: httpx.Client) -> None:
    text = page_of(report(api, picture(BRIGHT), lang="de").content)
    for expected in (
        "Bericht über eine Aufnahme",
        "94,1 %",
        "etwa 94",
        "niedrig unter 0,250",
        "Sie ist keine Segmentierung",
        "Kein Medizinprodukt. Für Forschung und Lehre.",
    ):
        assert expected in text, expected


def test_an_unlike_image_gets_a_refusal_and_no_probability(
    api: httpx.Client, model_server: ScriptedServer
) -> None:
    model_server.in_distribution = False
    pdf = report(api, picture(BRIGHT)).content
    text = page_of(pdf)
    assert "No answer to this image" in text
    assert "Neither a probability nor a map is given" in text
    assert "Probability of a tumour" not in text
    assert "High" not in text
    assert "94.1" not in text
    assert "segmentation" not in text
    assert len(PdfReader(io.BytesIO(pdf)).pages[0].images) == 1


def test_no_name_unless_asked_for(api: httpx.Client) -> None:
    file = "Erika Mustermann 1951.png"
    unnamed = report(api, picture(BRIGHT), file)
    named = report(api, picture(BRIGHT), file, name=f"  {NAME} ")
    assert "Name:" not in page_of(unnamed.content)
    assert f"Name: {NAME}" in page_of(named.content)
    for response in (unnamed, named):
        assert b"Mustermann" not in response.content
        assert "Mustermann" not in page_of(response.content)
        assert "Mustermann" not in str(response.headers)
        metadata = PdfReader(io.BytesIO(response.content)).metadata
        assert metadata is not None
        assert set(metadata) == {"/Title", "/CreationDate"}
        assert NAME not in str(metadata)


@pytest.mark.parametrize("name", ["x" * 81, "山田", "Łukasz", "a\tb", "a\nb", "a\x00"])
def test_a_name_that_cannot_be_printed_is_refused(api: httpx.Client, name: str) -> None:
    refused = error_of(report(api, picture(BRIGHT), name=name))
    assert refused == (422, "name_not_printable")


def test_what_is_no_single_image_is_refused(api: httpx.Client) -> None:
    assert error_of(report(api, b"")) == (422, "empty")
    assert error_of(report(api, b"not an image")) == (415, "unsupported_format")
    assert error_of(api.post("/api/v1/report")) == (422, "missing_file")
    two = [("file", ("a.png", picture(BRIGHT))), ("file", ("b.png", picture(DIM)))]
    assert error_of(api.post("/api/v1/report", files=two)) == (422, "too_many_files")
    assert error_of(report(api, picture(BRIGHT), lang="xx")) == (422, "bad_request")


def test_a_dicom_slice_is_reported_without_its_tags(api: httpx.Client) -> None:
    pixels = np.full((224, 224), BRIGHT, np.uint8)
    pixels[:112] -= 10
    pixels[112:] += 10
    tags = {"PatientName": "Mustermann^Erika", "PatientID": "MRN-4711", "WindowWidth": None}
    response = report(api, dicom(pixels, **tags), "IM000001.dcm")
    text = page_of(response.content)
    assert "brain_tumor, version 7" in text
    for secret in ("Mustermann", "Erika", "4711", "IM000001"):
        assert secret not in text
        assert secret.encode() not in response.content


def test_a_volume_is_not_one_scan(api: httpx.Client) -> None:
    frames = np.random.default_rng(5).integers(0, 255, (3, 64, 64), np.uint8)
    refused = report(api, dicom(frames), "volume.dcm")
    assert error_of(refused) == (422, "several_slices")
    assert "one slice" in refused.json()["error"]["message"]


def test_an_outage_is_no_report(api: httpx.Client, model_server: ScriptedServer) -> None:
    model_server.behaviour = "busy"
    assert error_of(report(api, picture(BRIGHT))) == (503, "server_overloaded")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("probability", "risk"), [(0.004, "low"), (0.3, "medium"), (1.0, "high")])
def test_the_shipped_card_tells_what_each_band_meant(
    language: str, probability: float, risk: str
) -> None:
    band = shipped_card()["decisions"]["test"]["risk"][risk]
    words = words_of(language)
    text = page_of(rendered(answered(decision(probability, risk)), language))
    assert words.number(band["n"]) in text
    assert plain(words.percent(band["tumor_rate"]["value"])) in text


@pytest.mark.parametrize("decisions", [None, 3, {"test": None}, {"test": {"risk": {"high": {}}}}])
def test_a_card_of_another_shape_costs_one_sentence(decisions: object) -> None:
    odd = {"decisions": decisions}
    high = answered(decision(0.9, "high"))
    pdf = render_report(high, odd, words_of("en"), made=MADE, card_url=CARD_URL)
    assert "was not measured for this version" in page_of(pdf)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("known", [True, False])
def test_the_fullest_report_stays_clear_of_the_foot(language: str, known: bool) -> None:
    warnings = [QualityWarning(code=f"doubt_{n}", message="A long doubt. " * 9) for n in range(4)]
    judged = decision(0.4, "medium", known=known)
    pdf = rendered(answered(judged, warnings), language, NAME)
    page_of(pdf)
    rows: dict[float, str] = {}

    def note(text: str, _: Any, matrix: Any, *rest: Any) -> None:
        if text.strip():
            rows[matrix[5]] = rows.get(matrix[5], "") + text

    PdfReader(io.BytesIO(pdf)).pages[0].extract_text(visitor_text=note)
    words = words_of(language)
    link = next(at for at, text in rows.items() if CARD_URL in text)
    foot = next(
        at for at, text in rows.items() if text.strip().startswith(words("report.limits")[:20])
    )
    assert link - foot > 10  # points, upwards


def test_two_reports_on_one_answer_differ_in_nothing() -> None:
    one = answered(decision(0.9, "high"))
    assert rendered(one) == rendered(one)


def test_pictures_are_the_models_input_and_the_map_over_it() -> None:
    page = PdfReader(io.BytesIO(rendered(answered(decision(0.9, "high"))))).pages[0]
    plain, mapped = (np.asarray(one.image.convert("RGB"), float) for one in page.images)
    assert plain.shape == mapped.shape == (224, 224, 3)
    assert plain.mean((0, 1)) == pytest.approx([120, 120, 120])
    assert mapped.mean((0, 1)) == pytest.approx([151, 77.6, 77.6], abs=1)


def test_a_language_without_texts_is_an_error() -> None:
    with pytest.raises(ValueError, match="no texts in 'xx'"):
        words_of("xx")
