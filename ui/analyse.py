"""The one way from files to answers; the page, every route of the API and Gradio's events take it."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.imaging import ScanError
from data.reading import read_studies
from data.studies import RefusedFile, ScanFile, ScanSlice, Study
from serving import errors
from serving.client import Answer, Client, Prediction, Thresholds
from ui.failures import (
    AnalysisError,
    empty_slice,
    failed_server,
    refused_file,
    replaced_model,
    several_slices,
    unexpected_error,
    unknown_version,
)
from ui.heatmap import overlay
from ui.pictures import data_url
from ui.schema import (
    DISCLAIMER,
    Analysis,
    AnalysisReport,
    Decision,
    EndEvent,
    ErrorDetail,
    Event,
    FailedEvent,
    Latency,
    ModelEvent,
    ModelStatus,
    ModelVersion,
    QualityWarning,
    Refusal,
    RefusedEvent,
    SliceEvent,
    SliceResult,
    StudyEvent,
    StudyResult,
    ThresholdValues,
)

#: Images in one question to the model server: answers come in while the next are being read.
BATCH: Final = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What is wanted beside the decision.

    Attributes:
        map: where the evidence lies.
        picture: what the model saw, and with `map` the map in colour over it.
    """

    map: bool = False
    picture: bool = False


@dataclass(frozen=True)
class OnlySlice:
    """The answer to a file with a single slice.

    Attributes:
        slice: with picture and map if these were wanted.
        decision: its own, which is there.
        model: that answered.
        thresholds: of that version.
        latency_ms: where the time went.
    """

    slice: SliceResult
    decision: Decision
    model: ModelVersion
    thresholds: ThresholdValues
    latency_ms: Latency


@dataclass
class _Run:
    """One request on its way: which version answers it, and where the time goes."""

    wanted: Wanted
    version: int | None = None
    prepare_ms: float = 0.0
    model_ms: float = 0.0
    waiting: list[tuple[int, int, ScanSlice]] = field(default_factory=list)

    @property
    def to_ask(self) -> int:
        """How many of those that wait the model will be asked about."""
        return sum(not one.empty for _, _, one in self.waiting)

    @property
    def latency(self) -> Latency:
        return Latency(prepare=round(self.prepare_ms, 2), model=round(self.model_ms, 2))


class Analyser:
    """Analyses scans with the model behind one client; safe to call from many threads."""

    def __init__(
        self,
        client: Client,
        model: str,
        hear: Callable[[Event], None] = lambda _: None,
        version_label: str | None = None,
    ) -> None:
        """Prepare to ask.

        Args:
            client: of the model server.
            model: its name there.
            hear: is told every event of every analysis, to count it.
            version_label: of the version to ask; None asks the newest.
        """
        self.client = client
        self.model = model
        self._hear = hear
        self._label = version_label
        # A decoded image takes up to 150 MB; one for each core keeps memory bounded.
        self._decoding = threading.BoundedSemaphore(os.cpu_count() or 1)

    def analyse(self, payload: bytes) -> Analysis:
        """Analyse a file that holds one image or one slice.

        Raises:
            AnalysisError: the file, or the model server, gives no answer.
        """
        one = self.only(ScanFile("", payload))
        return Analysis(
            **one.decision.model_dump(),
            thresholds=one.thresholds,
            model=one.model,
            latency_ms=one.latency_ms,
            disclaimer=DISCLAIMER,
        )

    def only(self, file: ScanFile, wanted: Wanted | None = None) -> OnlySlice:
        """Analyse a file that holds one image or one slice, and take the answer to it out of the report.

        Raises:
            AnalysisError: it holds none, several, or nothing but air; the model server gives no answer.
        """
        report = self.report([file], wanted)
        slices = [one for study in report.results for one in study.slices]
        if report.refused and not slices:
            refused = report.refused[0].error
            raise refused_file(ScanError(refused.code, refused.message))
        if len(slices) != 1 or report.refused:
            raise several_slices()
        if slices[0].decision is None or report.model is None or report.thresholds is None:
            raise empty_slice()
        return OnlySlice(
            slices[0], slices[0].decision, report.model, report.thresholds, report.latency_ms
        )

    def report(
        self,
        files: Sequence[ScanFile],
        wanted: Wanted | None = None,
        asked: Callable[[], bool] = lambda: True,
    ) -> AnalysisReport:
        """Analyse files and gather all answers; part of them once nobody asks any more.

        Args:
            files: what was sent.
            wanted: beside the decisions.
            asked: says whether somebody still waits for the answer.

        Raises:
            AnalysisError: the model server gives no answer; files that are no scans do not raise.
        """
        report = AnalysisReport(
            results=[],
            refused=[],
            model=None,
            thresholds=None,
            latency_ms=Latency(prepare=0, model=0),
            disclaimer=DISCLAIMER,
        )
        for event in self._heard(files, wanted or Wanted()):
            if not asked():
                break
            match event:
                case StudyEvent():
                    report.results.append(
                        StudyResult(**event.model_dump(exclude={"event"}), slices=[])
                    )
                case RefusedEvent():
                    report.refused.append(Refusal(**event.model_dump(exclude={"event"})))
                case ModelEvent():
                    report.model, report.thresholds = event.model, event.thresholds
                case SliceEvent():
                    report.results[event.study].slices.append(event.slice)
                case EndEvent():
                    report.latency_ms = event.latency_ms
        return report

    def stream(self, files: Sequence[ScanFile], wanted: Wanted | None = None) -> Iterator[Event]:
        """Analyse files and tell each answer as it comes; ends with `EndEvent` or `FailedEvent`."""
        try:
            yield from self._heard(files, wanted or Wanted())
        except AnalysisError as error:
            failed = FailedEvent(error=ErrorDetail(code=error.code, message=error.message))
            self._hear(failed)
            yield failed

    def ready(self) -> ModelStatus:
        """Which version answers.

        Raises:
            AnalysisError: none does, or the model server does not say.
        """
        with _told_to_the_user():
            versions = self.client.status()
            ready = [version for version, state in versions.items() if state == "AVAILABLE"]
            if not ready:
                raise errors.ModelNotFound()
            version = max(ready)
            if self._label is not None:
                version = self.client.metadata(version_label=self._label).version
        return ModelStatus(name=self.model, version=version, versions=versions)

    def card(self, version: int) -> dict[str, Any]:
        """The model card of a version.

        Raises:
            AnalysisError: the version is not served, or the model server does not say.
        """
        with _told_to_the_user():
            try:
                return self.client.card(version)
            except errors.ModelNotFound as error:
                raise unknown_version(version) from error

    def _heard(self, files: Sequence[ScanFile], wanted: Wanted) -> Iterator[Event]:
        for event in self._events(files, wanted):
            self._hear(event)
            yield event

    def _events(self, files: Sequence[ScanFile], wanted: Wanted) -> Iterator[Event]:
        run = _Run(wanted)
        number = 0
        for found in self._read(files, run):
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
                run.waiting.append((number, index, one))
                if run.to_ask == BATCH:
                    yield from self._answer_waiting(run)
            number += 1
        yield from self._answer_waiting(run)
        yield EndEvent(latency_ms=run.latency)

    def _read(self, files: Sequence[ScanFile], run: _Run) -> Iterator[Study | RefusedFile]:
        studies = read_studies(files)
        while True:
            try:
                with self._decoding:
                    start = time.perf_counter()
                    found = next(studies, None)
                    run.prepare_ms += _milliseconds_since(start)
            except Exception as error:
                raise unexpected_error() from error
            if found is None:
                return
            yield found

    def _answer_waiting(self, run: _Run) -> Iterator[Event]:
        """Answer the slices that wait, in order, all of a request by one version; empty ones unasked."""
        waiting, run.waiting = run.waiting, []
        images = [one.image for _, _, one in waiting if not one.empty]
        predictions: Iterator[Prediction] = iter(())
        if images:
            first = run.version is None
            start = time.perf_counter()
            answer, thresholds = self._ask(np.stack(images), run)
            run.model_ms += _milliseconds_since(start)
            predictions = iter(answer.predictions)
            if first:
                yield ModelEvent(
                    model=ModelVersion(name=self.model, version=answer.version),
                    thresholds=ThresholdValues(
                        low=thresholds.low, label=thresholds.label, high=thresholds.high
                    ),
                )
        for study, index, one in waiting:
            prediction = None if one.empty else next(predictions)
            yield SliceEvent(study=study, slice=_slice_result(index, one, prediction, run.wanted))

    def _ask(self, images: NDArray[np.uint8], run: _Run) -> tuple[Answer, Thresholds]:
        with _told_to_the_user():
            try:
                answer, thresholds = self._predict(images, run)
            except errors.ModelNotFound as error:
                if run.version is not None:
                    raise replaced_model() from error
                # The version may have been replaced between the two calls; its successor is ready.
                answer, thresholds = self._predict(images, run)
        run.version = answer.version
        return answer, thresholds

    def _predict(self, images: NDArray[np.uint8], run: _Run) -> tuple[Answer, Thresholds]:
        ask = self.client.explain if run.wanted.map else self.client.predict
        label = self._label if run.version is None else None
        answer = ask(images, version=run.version, version_label=label)
        return answer, self.client.thresholds(answer.version)


@contextmanager
def _told_to_the_user() -> Iterator[None]:
    """Turn what goes wrong at the model server into an `AnalysisError`."""
    try:
        yield
    except AnalysisError:
        raise
    except errors.ServingError as error:
        _log.warning("no answer from the model server: %s: %s", type(error).__name__, error)
        raise failed_server(error) from error
    except Exception as error:
        raise unexpected_error() from error


def _slice_result(
    index: int, one: ScanSlice, prediction: Prediction | None, wanted: Wanted
) -> SliceResult:
    heatmap = None if prediction is None else prediction.heatmap
    return SliceResult(
        index=index,
        empty=one.empty,
        decision=None if prediction is None else _decision(prediction),
        warnings=[QualityWarning(code=f.code, message=f.message) for f in one.findings],
        heatmap=None if heatmap is None else heatmap.astype(float).round(4).tolist(),
        picture=data_url(Image.fromarray(one.image)) if wanted.picture else None,
        overlay=data_url(overlay(heatmap)) if wanted.picture and heatmap is not None else None,
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
