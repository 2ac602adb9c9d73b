"""The one-page PDF report on one image: what the page says about it, to file or to hand on."""

import re
from base64 import b64decode
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from fpdf.enums import Align
from PIL import Image

from serving.contract import Risk
from ui.analyse import OnlySlice
from ui.schema import Decision, SliceResult, ThresholdValues
from ui.sheet import ALARM, ALARM_GROUND, HEIGHT, INK, MARGIN, QUIET, WIDTH, ZONES, Sheet
from ui.words import Words

#: What a name may be: letters of western Europe, which every reader of PDF has a font for.
NAME: Final = re.compile("[ -~À-ÖØ-öø-ÿŒœŠšŸŽž‘’–]{0,80}")
_RISKS: Final = tuple(Risk)
_PICTURE: Final = WIDTH / 2 - 3
#: Where the foot begins, and what the words below pictures take.
_FOOT: Final = HEIGHT - MARGIN - 15
_CAPTION: Final = 8.5
_NOTE: Final = 13.0


def render_report(
    answer: OnlySlice,
    card: dict[str, Any],
    words: Words,
    *,
    made: datetime,
    card_url: str,
    name: str = "",
) -> bytes:
    """Write the report on a single image.

    Args:
        answer: to one image, with picture and map.
        card: of the version that answered; what it lacks is said to be unmeasured.
        words: of the language to write in.
        made: when; the only thing in which two reports on one answer differ.
        card_url: where the model card can be read.
        name: printed if given; matches `NAME`.

    Returns:
        The PDF, one page of A4.
    """
    one, decision, thresholds = answer.slice, answer.decision, answer.thresholds
    latency, judged = answer.latency_ms, decision.in_distribution
    sheet = Sheet(f"{words('title')}: {words('report.title')}", words.language, made)
    _head(sheet, words, name)
    if judged:
        _answer(sheet, words, decision, thresholds, card)
    else:
        _refusal(sheet, words, decision)
    facts = {
        words("fact.model"): words(
            "fact.version", name=answer.model.name, version=str(answer.model.version)
        ),
        words("fact.thresholds"): words(
            "report.thresholds_value",
            low=words.number(thresholds.low, 3),
            label=words.number(thresholds.label, 3),
            high=words.number(thresholds.high, 3),
        ),
        words("report.took"): words(
            "report.took_value",
            total=words.number(latency.prepare + latency.model),
            model=words.number(latency.model),
        ),
        words("report.made"): made.strftime("%Y-%m-%d, %H:%M %Z"),
        words("report.card"): card_url,
    }

    def rest() -> None:
        _warnings(sheet, words, one, judged)
        _facts(sheet, words, facts, link=card_url)

    _pictures(sheet, words, one, judged, room=_FOOT - sheet.y - sheet.height_of(rest))
    rest()
    _foot(sheet, words)
    return sheet.finish()


def _head(sheet: Sheet, words: Words, name: str) -> None:
    sheet.text(words("title"), 9.5, colour=QUIET)
    sheet.y += 0.6
    sheet.text(words("report.title"), 19, bold=True)
    if name:
        sheet.y += 1
        sheet.text(": ".join((words("report.name"), name)), 11)
    sheet.y += 2.5
    sheet.boxed(words("disclaimer"))
    sheet.y += 6


def _answer(
    sheet: Sheet,
    words: Words,
    decision: Decision,
    thresholds: ThresholdValues,
    card: dict[str, Any],
) -> None:
    unsure = decision.risk is Risk.MEDIUM
    top = sheet.y
    sheet.text(words(f"verdict.{'unsure' if unsure else decision.label}"), 24, bold=True)
    bottom, sheet.y = sheet.y, top
    sheet.text(words.percent(decision.probability), 24, bold=True, align=Align.R)
    sheet.y = bottom
    sheet.text(words("report.probability"), 9, colour=QUIET, align=Align.R)
    sheet.y = bottom
    frequency = words("answer.frequency", count=_about_of_hundred(words, decision.probability))
    sheet.text(f"{words(f'meaning.{decision.risk}')} {frequency}", 10.5, width=WIDTH * 0.7)
    sheet.y += 4
    _risk_bar(sheet, words, decision, thresholds)
    sheet.text(_band(words, card, decision.risk), width=WIDTH)
    sheet.y += 6


def _about_of_hundred(words: Words, share: float) -> str:
    """As the page says it: "about 94", never none and never all of them."""
    if share < 0.005:
        return words("hundred.under")
    if share > 0.995:
        return words("hundred.over")
    return words("hundred.about", count=words.number(share * 100))


def _risk_bar(sheet: Sheet, words: Words, decision: Decision, thresholds: ThresholdValues) -> None:
    """Three zones of equal width with the thresholds below and the probability above."""
    sheet.text(words("report.risk"), 9, colour=QUIET)
    sheet.y += 3.8
    zone = WIDTH / len(_RISKS)
    edges = (0.0, thresholds.low, thresholds.high, 1.0)
    here = _RISKS.index(decision.risk)
    low, high = edges[here], edges[here + 1]
    share = (decision.probability - low) / (high - low) if high > low else 0.5
    at = MARGIN + min(max(zone * (here + share), 2), WIDTH - 2)
    sheet.marker(at)
    sheet.y += 0.4
    top, height = sheet.y, 8.0
    for number, risk in enumerate(_RISKS):
        x = MARGIN + zone * number
        sheet.rectangle(x, top, zone - 0.5, height, ZONES[number])
        if number == here:
            sheet.rectangle(x, top + height, zone - 0.5, 0.9, INK)
        sheet.y = top + 1.9
        told = words(f"risk.{risk}")
        sheet.text(told, 9.5, x=x, width=zone, bold=number == here, align=Align.C)
    for number, edge in enumerate(edges):
        sheet.y = top + height + 1.8
        x = MARGIN + zone * number - 10
        align = {0: Align.L, 3: Align.R}.get(number, Align.C)
        shift = {0: 10, 3: -10}.get(number, 0)
        text = words.number(edge, 0 if number in (0, 3) else 3)
        sheet.text(text, 8, x=x + shift, width=20, colour=QUIET, align=align)
    sheet.y += 1.6


def _band(words: Words, card: dict[str, Any], risk: str) -> str:
    """What the band turned out to mean on the test split, if the card tells."""
    try:
        band = card["decisions"]["test"]["risk"][risk]
        rate = band["tumor_rate"]
        return words(
            "report.band",
            n=words.number(band["n"]),
            risk=words(f"risk.{risk}").lower(),
            rate=words.percent(rate["value"]),
            low=words.percent(rate["low"]),
            high=words.percent(rate["high"]),
        )
    # Cards of other versions have other shapes.
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return words("model.bands.unmeasured")


def _refusal(sheet: Sheet, words: Words, decision: Decision) -> None:
    sheet.text(words("refusal.title"), 22, bold=True)
    sheet.y += 3
    sheet.boxed(
        " ".join((words("refusal.why"), words("report.withheld"))), edge=ALARM, ground=ALARM_GROUND
    )
    sheet.y += 2.5
    score = words.number(decision.ood_score, 2)
    sheet.text(words("report.refused_score", score=score), 9, colour=QUIET)
    sheet.y += 6


def _pictures(sheet: Sheet, words: Words, one: SliceResult, judged: bool, room: float) -> None:
    """The scan, and beside it the map, as large as the room that the words leave."""
    side = min(_PICTURE, room - (_CAPTION + (_NOTE if judged else 0)))
    picture = _image(one.picture)
    sheet.picture(picture, MARGIN, side, words("report.picture"))
    if judged and one.overlay is not None:
        mapped = Image.alpha_composite(picture.convert("RGBA"), _image(one.overlay)).convert("RGB")
        sheet.picture(mapped, MARGIN + WIDTH / 2 + 3, side, words("report.map"))
    sheet.y += side + _CAPTION
    if judged:
        sheet.text(words("report.not_a_segmentation"), 9, bold=True)
        sheet.y += 3.5


def _image(url: str | None) -> Image.Image:
    if url is None:
        raise ValueError("a report needs the picture")
    return Image.open(BytesIO(b64decode(url.partition(",")[2])))


def _warnings(sheet: Sheet, words: Words, one: SliceResult, judged: bool) -> None:
    if not one.warnings:
        sheet.text(words("report.no_warnings"), 9, colour=QUIET)
    else:
        sheet.text(
            words("warning.title" if judged else "refusal.warnings"), 9.5, bold=True, colour=ALARM
        )
        for warning in one.warnings:
            key = f"server.{warning.code}"
            sheet.text(words(key) if key in words else warning.message, 9)
    sheet.y += 4


def _facts(sheet: Sheet, words: Words, facts: dict[str, str], link: str) -> None:
    sheet.rule()
    sheet.y += 2.5
    for key, value in facts.items():
        top = sheet.y
        sheet.text(key, 9, width=32, colour=QUIET)
        sheet.y = top
        sheet.text(value, 9, x=MARGIN + 34, width=WIDTH - 34, link=link if value == link else "")
        sheet.y += 0.7


def _foot(sheet: Sheet, words: Words) -> None:
    sheet.y = _FOOT
    sheet.rule()
    sheet.y += 2.2
    sheet.text(words("report.limits"), 8, colour=QUIET)
    sheet.text(words("report.privacy"), 8, colour=QUIET)
    sheet.y += 1
    sheet.text(words("disclaimer"), 9, bold=True)
