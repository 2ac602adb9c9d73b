"""Rows for `python -m serving predict`: what the files hold, and what the model says about it."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.reading import read_studies
from data.studies import MAX_STUDY_BYTES, RefusedFile, ScanFile, Study, StudyKind
from serving.answers import Answer, Prediction
from serving.client import Client
from serving.dialogue import MAX_IMAGES
from serving.settings import PredictSettings

Row = dict[str, Any]


def classify(client: Client, paths: Sequence[Path], settings: PredictSettings) -> list[Row]:
    """Ask about everything that the files hold.

    Stills go to the server together, each volume on its own, answered by one version.

    Returns:
        A row for each image, volume and file that cannot be read, in the order of the files. It holds
        `file`, `member` of an archive, and `error`; or the answer, which for a volume is in `slices`:
        one row a slice, numbered from 1, `empty` where it shows air and nobody was asked, with the
        number of the riskiest in `highest`.
    """
    rows: list[tuple[int, Row]] = []
    named: list[int] = []  # numbers of the files that could be opened
    stills: list[tuple[Row, Study]] = []
    for found in read_studies(_opened(paths, named, rows)):
        number = named[found.file]
        row: Row = {"file": str(paths[number])}
        if found.member is not None:
            row["member"] = found.member
        rows.append((number, row))
        if isinstance(found, RefusedFile):
            row["error"] = str(found.error)
        elif found.kind is StudyKind.VOLUME:
            _answer_volume(client, row, found, settings)
        else:
            stills.append((row, found))
        if len(stills) == MAX_IMAGES:
            _answer_stills(client, stills, settings)
            stills = []
    if stills:
        _answer_stills(client, stills, settings)
    return [row for _, row in sorted(rows, key=lambda one: one[0])]


def _opened(
    paths: Sequence[Path], named: list[int], rows: list[tuple[int, Row]]
) -> Iterator[ScanFile]:
    """Files one after another; of one that cannot be opened the reason becomes a row."""
    for number, path in enumerate(paths):
        try:
            with path.open("rb") as file:
                payload = file.read(MAX_STUDY_BYTES + 1)
        except OSError as error:
            rows.append((number, {"file": str(path), "error": error.strerror}))
            continue
        named.append(number)
        yield ScanFile(path.name, payload)


def _answer_stills(
    client: Client, stills: list[tuple[Row, Study]], settings: PredictSettings
) -> None:
    answer = _ask(client, [study.slices[0].image for _, study in stills], settings)
    for (row, _), one in zip(stills, answer.predictions, strict=True):
        row |= _fields(one) | {"version": answer.version}


def _answer_volume(client: Client, row: Row, study: Study, settings: PredictSettings) -> None:
    shown = [i for i, one in enumerate(study.slices) if not one.empty]
    answer = _ask(client, [study.slices[i].image for i in shown], settings)
    answers = dict(zip(shown, answer.predictions, strict=True))
    slices = [
        {"slice": i + 1} | (_fields(answers[i]) if i in answers else {"empty": True})
        for i in range(len(study.slices))
    ]
    row |= {
        "plane": study.plane,
        "spacing_mm": study.spacing_mm,
        "notes": [note.message for note in study.notes],
        "highest": max(answers, key=lambda i: _order(answers[i])) + 1,
        "version": answer.version,
        "slices": slices,
    }


def _ask(client: Client, images: list[np.ndarray], settings: PredictSettings) -> Answer:
    return client.predict(
        np.stack(images),
        version=settings.version,
        version_label=settings.version_label,
        timeout_s=settings.timeout_s * math.ceil(len(images) / MAX_IMAGES),
    )


def _order(one: Prediction) -> tuple[bool, float]:
    """What the model does not know comes last, however sure it is."""
    return one.in_distribution, one.probability


def _fields(one: Prediction) -> Row:
    return {
        "label": str(one.label),
        "probability": one.probability,
        "confidence": one.confidence,
        "risk": str(one.risk),
        "in_distribution": one.in_distribution,
        "ood_score": one.ood_score,
    }
