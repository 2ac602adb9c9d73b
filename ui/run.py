"""One request on its way: files in, events out, as they come about."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.reading import read_studies
from data.studies import RefusedFile, ScanFile, ScanSlice, Study
from serving import errors
from serving.client import Answer, Client, Prediction, Thresholds
from ui.failures import replaced_model, told_to_the_user
from ui.heatmap import overlay
from ui.pictures import data_url
from ui.schema import (
    Decision,
    EndEvent,
    ErrorDetail,
    Event,
    Latency,
    ModelEvent,
    ModelVersion,
    QualityWarning,
    RefusedEvent,
    SliceEvent,
    SliceResult,
    StudyEvent,
    ThresholdValues,
)

#: Images in one question to the model server: answers come in while the next are being read.
BATCH: Final = 16


@dataclass(frozen=True)
class Wanted:
    """What is wanted beside the decision.

    Attributes:
        map: where the evidence lies.
        picture: what the model saw, and with `map` the map in colour over it.
    """

    map: bool = False
    picture: bool = False


class Run:
    """The answers to the files of one request, all by one version of the model."""

    def __init__(
        self,
        client: Client,
        model: str,
        version_label: str | None,
        wanted: Wanted,
        decoding: threading.Semaphore,
    ) -> None:
        """Prepare to run once.

        Args:
            client: of the model server.
            model: its name there.
            version_label: of the version to ask; None asks the newest.
            wanted: beside the decisions.
            decoding: is held while a file is read.
        """
        self._client = client
        self._model = model
        self._label = version_label
        self._wanted = wanted
        self._decoding = decoding
        self._version: int | None = None  # that answered first, and so answers all
        self._waiting: list[tuple[int, int, ScanSlice]] = []
        self._prepare_ms = 0.0
        self._model_ms = 0.0

    def events(self, files: Sequence[ScanFile]) -> Iterator[Event]:
        """Read the files and have them answered; ends with `EndEvent`.

        Raises:
            AnalysisError: the model server gives no answer; files that are no scans do not raise.
        """
        number = 0
        for found in self._read(files):
            if isinstance(found, RefusedFile):
                error = ErrorDetail(code=found.error.code, message=str(found.error))
                yield RefusedEvent(file=found.file, member=found.member, error=error)
                continue
            yield StudyEvent(
                study=number,
                file=found.file,
                member=found.member,
                kind=found.kind,
                plane=found.plane,
                spacing_mm=found.spacing_mm,
                length=len(found.slices),
                notes=[QualityWarning(code=n.code, message=n.message) for n in found.notes],
            )
            for index, one in enumerate(found.slices):
                self._waiting.append((number, index, one))
                if len(self._to_ask) == BATCH:
                    yield from self._answer_waiting()
            number += 1
        yield from self._answer_waiting()
        latency = Latency(prepare=round(self._prepare_ms, 2), model=round(self._model_ms, 2))
        yield EndEvent(latency_ms=latency)

    @property
    def _to_ask(self) -> list[NDArray[np.uint8]]:
        """Of the slices that wait, the images that the model will be asked about."""
        return [one.image for _, _, one in self._waiting if not one.empty]

    def _read(self, files: Sequence[ScanFile]) -> Iterator[Study | RefusedFile]:
        studies = read_studies(files)
        while True:
            with told_to_the_user(), self._decoding:
                start = time.perf_counter()
                found = next(studies, None)
                self._prepare_ms += _milliseconds_since(start)
            if found is None:
                return
            yield found

    def _answer_waiting(self) -> Iterator[Event]:
        """Answer the slices that wait, in order; empty ones without asking."""
        predictions: Iterator[Prediction] = iter(())
        if images := self._to_ask:
            first = self._version is None
            start = time.perf_counter()
            answer, thresholds = self._ask(np.stack(images))
            self._model_ms += _milliseconds_since(start)
            predictions = iter(answer.predictions)
            if first:
                yield ModelEvent(
                    model=ModelVersion(name=self._model, version=answer.version),
                    thresholds=ThresholdValues(
                        low=thresholds.low, label=thresholds.label, high=thresholds.high
                    ),
                )
        for study, index, one in self._waiting:
            prediction = None if one.empty else next(predictions)
            yield SliceEvent(study=study, slice=self._result(index, one, prediction))
        self._waiting = []

    def _ask(self, images: NDArray[np.uint8]) -> tuple[Answer, Thresholds]:
        with told_to_the_user():
            try:
                answer, thresholds = self._predict(images)
            except errors.ModelNotFound as error:
                if self._version is not None:
                    raise replaced_model() from error
                # The version may have been replaced between the two calls; its successor is ready.
                answer, thresholds = self._predict(images)
        self._version = answer.version
        return answer, thresholds

    def _predict(self, images: NDArray[np.uint8]) -> tuple[Answer, Thresholds]:
        ask = self._client.explain if self._wanted.map else self._client.predict
        label = self._label if self._version is None else None
        answer = ask(images, version=self._version, version_label=label)
        return answer, self._client.thresholds(answer.version)

    def _result(self, index: int, one: ScanSlice, prediction: Prediction | None) -> SliceResult:
        heatmap = None if prediction is None else prediction.heatmap
        picture = self._wanted.picture
        return SliceResult(
            index=index,
            empty=one.empty,
            decision=None if prediction is None else _decision(prediction),
            warnings=[QualityWarning(code=f.code, message=f.message) for f in one.findings],
            heatmap=None if heatmap is None else heatmap.astype(float).round(4).tolist(),
            picture=data_url(Image.fromarray(one.image)) if picture else None,
            overlay=data_url(overlay(heatmap)) if picture and heatmap is not None else None,
        )


def _decision(prediction: Prediction) -> Decision:
    return Decision(
        label=prediction.label,
        probability=prediction.probability,
        confidence=prediction.confidence,
        risk=prediction.risk,
        in_distribution=prediction.in_distribution,
        ood_score=prediction.ood_score,
    )


def _milliseconds_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
