"""What the page shows for an answer, an error or a wait: plain HTML, everything in it escaped."""

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.labels import Label
from serving.contract import Risk
from ui.analyse import Analysis, AnalysisError, ThresholdValues

WORDS: Final = {Label.TUMOR: "Tumour", Label.NO_TUMOR: "No tumour"}
RISK_WORDS: Final = {Risk.LOW: "Low", Risk.MEDIUM: "Medium", Risk.HIGH: "High"}
MEANING: Final = {
    Risk.LOW: "The probability lies below the low threshold.",
    Risk.MEDIUM: "The probability lies between the two thresholds. Do not read this as an answer.",
    Risk.HIGH: "The probability reaches the high threshold.",
}
UNFAMILIAR: Final = (
    "This does not look like a brain MRI like the ones the model knows; do not rely on the answer."
)

FIGURE: Final = (
    '<figure><img src="{source}" alt="Your scan, as the model sees it" width="224" height="224">'
    "<figcaption>As the model sees it</figcaption></figure>"
)
IDLE: Final = (
    '<div class="panel idle"><h2>No scan yet</h2>'
    "<p>Choose a file or one of the samples. The answer appears here.</p></div>"
)

#: While a scan is on its way; `answer.js` puts the picture in once there is one.
READING: Final = (
    f'<div class="panel busy">{FIGURE.format(source="")}<div class="reading"><h2>Reading the scan</h2>'
    '<div class="stripe" aria-hidden="true"></div></div></div>'
)


def error_panel(error: AnalysisError) -> str:
    """Why there is no answer, and what to do."""
    return _panel("error", f"<h2>No answer</h2><p>{escape(error.message)}</p>", role="alert")


def answer_panel(analysis: Analysis, image: NDArray[np.uint8]) -> str:
    """The answer: label, confidence, risk bar, provenance; a warning first where it cannot be relied on."""
    warning = ""
    if not analysis.in_distribution:
        warning = (
            f'<p class="warning" role="alert"><strong>Warning.</strong> {escape(UNFAMILIAR)}</p>'
        )
    label, unsure = WORDS[analysis.label], analysis.risk is Risk.MEDIUM
    verdict = (
        '<div class="verdict"><p class="eyebrow">Model&#x27;s answer</p>'
        f"<h2>{'Unsure' if unsure else label}</h2>"
        f'<p class="confidence">{f"Leans to: {label.lower()}. " if unsure else ""}'
        f"Confidence <strong>{_percent(analysis.confidence)}</strong></p>"
        f"<p>{escape(MEANING[analysis.risk])}</p></div>"
    )
    facts = (
        ("Tumour probability", _percent(analysis.probability)),
        ("Model", f"{analysis.model.name}, version {analysis.model.version}"),
        ("Time", f"{analysis.latency_ms.prepare + analysis.latency_ms.model:.0f} ms"),
    )
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts
    )
    return _panel(
        "answer" if analysis.in_distribution else "answer doubtful",
        f'{warning}<div class="head">{_figure(image)}{verdict}</div>'
        f"{risk_bar(analysis.probability, analysis.risk, analysis.thresholds)}<dl>{rows}</dl>",
    )


def risk_bar(probability: float, risk: Risk, thresholds: ThresholdValues) -> str:
    """A bar of three zones of equal width, the thresholds between them, a marker at the probability.

    Equal widths keep all three readable whatever the thresholds; within a zone the scale is linear.
    """
    spoken = (
        f"Risk {RISK_WORDS[risk].lower()}. Probability of a tumour {_percent(probability)}. "
        f"Low is below {_percent(thresholds.low)}, high from {_percent(thresholds.high)}, "
        "medium between them."
    )
    left = f"{_position(probability, thresholds):.1f}"
    zones = "".join(
        f'<span class="zone {each}{" here" if each is risk else ""}">{RISK_WORDS[each]}</span>'
        for each in Risk
    )
    return (
        f'<div class="risk" role="img" aria-label="{escape(spoken)}">'
        # Shifted by its own share, so that the text stays above the bar at either end.
        f'<div class="scale"><span class="value" style="left:{left}%;transform:translateX(-{left}%)">'
        f'{_percent(probability)}</span><span class="marker" style="left:{left}%"></span></div>'
        f'<div class="zones">{zones}</div>'
        '<div class="ticks"><span style="left:0">0 %</span>'
        f'<span style="left:33.3%">{_percent(thresholds.low)}</span>'
        f'<span style="left:66.7%">{_percent(thresholds.high)}</span>'
        '<span style="left:100%">100 %</span></div></div>'
    )


def picture(image: Image.Image, form: str = "PNG") -> str:
    """A `data:` address of an image, so that no file is needed to show it."""
    encoded = BytesIO()
    image.save(encoded, form)
    return f"data:image/{form.lower()};base64,{b64encode(encoded.getvalue()).decode()}"


def _position(probability: float, thresholds: ThresholdValues) -> float:
    """Where on the bar a probability lies, 0..100."""
    edges = [0.0, thresholds.low, thresholds.high, 1.0]
    return float(np.interp(probability, edges, [0, 100 / 3, 200 / 3, 100]))


def _percent(share: float) -> str:
    """One decimal, and never a certainty: a calibrated model has none."""
    shown = min(max(share, 0.0), 1.0) * 100
    if shown < 0.1:
        return "under 0.1 %"
    if shown > 99.9:
        return "over 99.9 %"
    return f"{shown:.1f} %"


def _figure(image: NDArray[np.uint8]) -> str:
    return FIGURE.format(source=picture(Image.fromarray(image)))


def _panel(kind: str, content: str, role: str = "") -> str:
    return f'<div class="panel {kind}"{f" role={role!r}" if role else ""}>{content}</div>'
