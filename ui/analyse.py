"""The one way from files to answers; the page, every route of the API and Gradio's events take it."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data.imaging import ScanError
from data.studies import ScanFile
from serving import errors
from serving.client import Client
from ui.failures import (
    AnalysisError,
    empty_slice,
    refused_file,
    several_slices,
    told_to_the_user,
    unknown_version,
)
from ui.run import Run, Wanted
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
    Refusal,
    RefusedEvent,
    SliceEvent,
    SliceResult,
    StudyEvent,
    StudyResult,
    ThresholdValues,
)


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
        self._client = client
        self._model = model
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
        with told_to_the_user():
            versions = self._client.status()
            ready = [version for version, state in versions.items() if state == "AVAILABLE"]
            if not ready:
                raise errors.ModelNotFound()
            version = max(ready)
            if self._label is not None:
                version = self._client.metadata(version_label=self._label).version
        return ModelStatus(name=self._model, version=version, versions=versions)

    def card(self, version: int) -> dict[str, Any]:
        """The model card of a version.

        Raises:
            AnalysisError: the version is not served, or the model server does not say.
        """
        with told_to_the_user():
            try:
                return self._client.card(version)
            except errors.ModelNotFound as error:
                raise unknown_version(version) from error

    def _heard(self, files: Sequence[ScanFile], wanted: Wanted) -> Iterator[Event]:
        run = Run(self._client, self._model, self._label, wanted, self._decoding)
        for event in run.events(files):
            self._hear(event)
            yield event
