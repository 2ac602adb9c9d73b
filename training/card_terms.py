"""What a model card says of its sources: whose they are, under which terms, and what they cannot teach."""

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import data
from data.manifest import MANIFEST, Scan, Split
from data.public_sets import PUBLIC_SETS
from data.terms import UNKNOWN, Terms, Use
from training.bootstrap import figure_text
from training.network import CNN, LITE0
from training.refusals import RefusalReport

#: Families of images that the card names as the hardest to refuse.
_HARDEST: Final = 2
_WEIGHTS: Final = {LITE0: " ImageNet weights: Apache-2.0.", CNN: ""}


def terms_of(source: str, scans: Sequence[Scan]) -> Terms:
    """Terms of a public collection by its name, of our samples by their content, else unknown.

    Args:
        source: its name, for a public collection the one that `python -m data fetch` gives it.
        scans: all of the source.
    """
    if source in PUBLIC_SETS:
        return PUBLIC_SETS[source].terms
    samples = _samples()
    if all(scan.sha256 in samples for scan in scans):
        licences = sorted({samples[scan.sha256] for scan in scans})
        return Terms(
            title="samples of this repository, see data/samples/LICENCES.md",
            licence=", ".join(licences),
            use=Use.ATTRIBUTION,
            limit="a few slices, for trying things: tumours and normal scans differ in origin",
        )
    return UNKNOWN


def showable(source: str) -> str | None:
    """What to write beside a scan of a source; None if it may not be shown."""
    one = PUBLIC_SETS.get(source)
    if one is None or not one.terms.showable:
        return None
    return f"{one.terms.title}: {one.terms.licence}"


def describe_sources(
    scans: Sequence[Scan], *, left_out: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Terms of each source of a dataset, by name, and whether anything was learnt from it.

    Args:
        scans: the whole dataset.
        left_out: sources that the training left out.
    """
    described = {}
    for source in sorted({scan.source for scan in scans}):
        members = [scan for scan in scans if scan.source == source]
        described[source] = {
            **vars(terms_of(source, members)),
            "learnt_from": source not in left_out
            and any(scan.split != Split.TEST for scan in members),
            "tested_on": any(scan.split == Split.TEST for scan in members),
        }
    return described


def licence(sources: Mapping[str, Mapping[str, Any]], network: str) -> str:
    """What the weights may be used for, by what they were learnt from.

    Args:
        sources: from `describe_sources`.
        network: name of the backbone.
    """
    weights = _WEIGHTS.get(network, " ImageNet weights: as keras.applications states.")
    strict = {
        use: [name for name, of in sources.items() if of["learnt_from"] and of["use"] == use]
        for use in Use
    }
    terms = []
    if names := strict[Use.UNKNOWN]:
        terms.append(f"research only, since the terms of {', '.join(names)} are unknown or unclear")
    if names := strict[Use.NON_COMMERCIAL]:
        terms.append(f"non-commercial use ({', '.join(names)})")
    if names := strict[Use.ATTRIBUTION]:
        terms.append(f"attribution ({', '.join(names)})")
    inherited = "; ".join(terms) or "none"
    return (
        "Code: MIT. The weights inherit the terms of what they were learnt from, which are listed under "
        f"Data: {inherited}.{weights}"
    )


def limits(sources: Mapping[str, Mapping[str, Any]], refusals: RefusalReport) -> list[str]:
    """What the version cannot do, a sentence each.

    Args:
        sources: from `describe_sources`.
        refusals: of images that are no brain MRI.
    """
    learnt = [name for name, of in sources.items() if of["learnt_from"]]
    internal = [name for name in learnt if sources[name]["tested_on"]]
    sentences = [
        "Not a medical device: for research and teaching, never for a decision about a patient.",
        "Single 2-D slices only; a tumour outside the slice cannot be seen.",
        "Only what its sources show was learnt. No source is known to hold metastases, children's brains "
        "or scans after surgery in numbers.",
    ]
    sentences += [f"{name}: {of['limit']}." for name, of in sources.items() if of["limit"]]
    if internal:
        sentences.append(
            f"Figures on the test split are internal for {', '.join(internal)}: these sources also occur "
            "in training (never the same patient or picture). Expect less on scans from elsewhere; leaving "
            "out a source tells how much less."
        )
    sentences.append(
        "The families of images that are no brain MRI have few originals each; their rates are a sign, "
        f"not a promise.{_hardest(refusals)}"
    )
    sentences.append(
        "The layer and the threshold that refuse them were chosen by looking at these families, and at "
        "how many scans of the test split are refused; its labels played no part."
    )
    return sentences


def _hardest(refusals: RefusalReport) -> str:
    rates = {
        family.replace("_", " "): row["refused"]
        for family, row in refusals["families"].items()
        if row["refused"]["value"] is not None and row["refused"]["value"] < 1.0
    }
    hardest = sorted(rates, key=lambda family: rates[family]["value"] or 0.0)[:_HARDEST]
    if not hardest:
        return ""
    shown = ", ".join(f"{family} ({figure_text(rates[family])})" for family in hardest)
    return f" The hardest, with the share refused: {shown}."


def _samples() -> dict[str, str]:
    """Licence of each of our samples, by its hash; empty where they are not installed."""
    path = Path(data.__file__).parent / "samples" / MANIFEST
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["sha256"]: row["licence"] for row in csv.DictReader(file)}
