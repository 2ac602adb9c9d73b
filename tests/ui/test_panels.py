"""What the page says for an answer, in words and for screen readers."""

import re

import numpy as np
import pytest

from data.labels import Label
from serving.contract import Risk
from ui.analyse import (
    DISCLAIMER,
    Analysis,
    AnalysisError,
    Latency,
    ModelVersion,
    PreparedScan,
    ThresholdValues,
)
from ui.panels import answer_panel, error_panel, risk_bar
from ui.samples import FOLDER, gallery, load_samples
from ui.uploads import WaitingScans

THRESHOLDS = ThresholdValues(low=0.2, label=0.5, high=0.9)
IMAGE = np.zeros((224, 224, 3), np.uint8)


def analysis(probability: float, risk: Risk, *, in_distribution: bool = True) -> Analysis:
    tumour = probability >= THRESHOLDS.label
    return Analysis(
        label=Label.TUMOR if tumour else Label.NO_TUMOR,
        probability=probability,
        confidence=probability if tumour else 1 - probability,
        risk=risk,
        in_distribution=in_distribution,
        ood_score=0.0,
        thresholds=THRESHOLDS,
        model=ModelVersion(name="<b>model</b>", version=12),
        latency_ms=Latency(prepare=4, model=36),
        disclaimer=DISCLAIMER,
    )


@pytest.mark.parametrize(
    ("probability", "risk", "headline", "confidence"),
    [
        (0.953, Risk.HIGH, "Tumour", "95.3 %"),
        (0.02, Risk.LOW, "No tumour", "98.0 %"),
        (0.4, Risk.MEDIUM, "Unsure", "60.0 %"),
        (0.9996, Risk.HIGH, "Tumour", "over 99.9 %"),
        (1.0, Risk.HIGH, "Tumour", "over 99.9 %"),
    ],
)
def test_the_answer_in_words(
    probability: float, risk: Risk, headline: str, confidence: str
) -> None:
    html = answer_panel(analysis(probability, risk), IMAGE)
    assert f"<h2>{headline}</h2>" in html
    assert f"Confidence <strong>{confidence}</strong>" in html
    assert "version 12" in html
    assert "40 ms" in html
    assert "do not rely" not in html


def test_unsure_says_where_it_leans() -> None:
    assert "Leans to: no tumour." in answer_panel(analysis(0.4, Risk.MEDIUM), IMAGE)
    assert "Leans to: tumour." in answer_panel(analysis(0.6, Risk.MEDIUM), IMAGE)


def test_an_unfamiliar_image_gets_a_warning_first() -> None:
    html = answer_panel(analysis(0.95, Risk.HIGH, in_distribution=False), IMAGE)
    warning = html.index("This does not look like a brain MRI like the ones the model knows")
    assert warning < html.index("<h2>")


def test_everything_is_escaped() -> None:
    assert "<b>" not in answer_panel(analysis(0.95, Risk.HIGH), IMAGE)
    assert "<img" not in error_panel(AnalysisError(422, "x", "<img src=x onerror=alert(1)>"))


@pytest.mark.parametrize(
    ("probability", "risk", "left"),
    [
        (0.0, Risk.LOW, 0.0),
        (0.1, Risk.LOW, 16.7),
        (0.2, Risk.MEDIUM, 33.3),
        (0.55, Risk.MEDIUM, 50.0),
        (0.95, Risk.HIGH, 83.3),
        (1.0, Risk.HIGH, 100.0),
    ],
)
def test_the_marker_lies_in_its_zone(probability: float, risk: Risk, left: float) -> None:
    html = risk_bar(probability, risk, THRESHOLDS)
    assert f'class="marker" style="left:{left}%"' in html
    assert re.findall(r'class="zone (\w+) here"', html) == [risk.value]


def test_the_bar_speaks() -> None:
    html = risk_bar(0.953, Risk.HIGH, THRESHOLDS)
    assert (
        'role="img" aria-label="Risk high. Probability of a tumour 95.3 %. '
        'Low is below 20.0 %, high from 90.0 %, medium between them."' in html
    )


def test_the_gallery_tells_what_is_shown_and_no_file_name() -> None:
    samples = load_samples()
    captions = [sample.caption for sample in samples]
    assert len(captions) == 12
    assert {"Meningioma", "Glioma", "Pituitary tumour", "Normal, axial"} <= set(captions)
    html = gallery(samples)
    assert html.count("data-sample=") == 12
    for path in FOLDER.rglob("*.jpg"):
        assert path.stem not in html


def test_a_waiting_scan_is_taken_once_and_old_ones_give_way() -> None:
    waiting = WaitingScans(capacity=2)
    scans = [PreparedScan(IMAGE, float(n)) for n in range(3)]
    tokens = [waiting.put(scan) for scan in scans]
    assert waiting.take(tokens[2]) is scans[2]
    assert waiting.take(tokens[1]) is scans[1]
    for token in (tokens[0], tokens[1], ""):
        with pytest.raises(AnalysisError, match="The upload was lost"):
            waiting.take(token)
