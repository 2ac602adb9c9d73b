"""The one way from the bytes of a file to an answer; page, `POST /` and `POST /upload` all take it."""

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from data.imaging import ScanError, prepare_scan
from data.labels import Label
from serving import errors
from serving.client import Answer, Client, Prediction, Thresholds
from serving.contract import Risk

DISCLAIMER: Final = "Not a medical device. For research and teaching."
RETRY_AFTER_S: Final = 5

_log = logging.getLogger(__name__)


class AnalysisError(Exception):
    """Why there is no answer.

    Attributes:
        status: the HTTP status that fits.
        code: stable machine-readable reason.
        message: one or two sentences for the person who sent the file.
        retry_after_s: set where trying again later may help.
    """

    def __init__(
        self, status: int, code: str, message: str, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class ThresholdValues(BaseModel):
    """The version's operating points on `probability`."""

    low: float = Field(description="Below it the risk is low.", examples=[0.12])
    label: float = Field(description="From it on the label is `tumor`.", examples=[0.5])
    high: float = Field(description="From it on the risk is high.", examples=[0.9])


class ModelVersion(BaseModel):
    """Which model answered."""

    name: str = Field(examples=["brain_tumor"])
    version: int = Field(examples=[1])


class Latency(BaseModel):
    """Where the time went, in milliseconds."""

    prepare: float = Field(description="Decoding and letterboxing.", examples=[4.1])
    model: float = Field(
        description="The model server's answer, network included.", examples=[38.5]
    )


class Analysis(BaseModel):
    """The answer to one scan."""

    label: Label = Field(description="The class the model decides for.", examples=["tumor"])
    probability: float = Field(description="Calibrated P(tumour), 0..1.", examples=[0.953])
    confidence: float = Field(description="Probability of `label`, 0..1.", examples=[0.953])
    risk: Risk = Field(
        description="`probability` against the thresholds; medium means unsure.", examples=["high"]
    )
    in_distribution: bool = Field(
        description="False: the image does not look like the scans the model knows; "
        "do not rely on the answer.",
        examples=[True],
    )
    ood_score: float = Field(
        description="How unlike the scans it knows; above 1 is not `in_distribution`.",
        examples=[0.4],
    )
    thresholds: ThresholdValues
    model: ModelVersion
    latency_ms: Latency
    disclaimer: str = Field(examples=[DISCLAIMER])


@dataclass(frozen=True)
class PreparedScan:
    """A scan as the model will see it.

    Attributes:
        image: uint8 `[224, 224, 3]`, RGB.
        prepare_ms: what decoding and letterboxing took.
    """

    image: NDArray[np.uint8]
    prepare_ms: float


class Analyser:
    """Analyses scans with the model behind one client; safe to call from many threads."""

    def __init__(self, client: Client, model: str) -> None:
        self.client = client
        self.model = model
        # A decoded image takes up to 150 MB; one for each core keeps memory bounded.
        self._decoding = threading.BoundedSemaphore(os.cpu_count() or 1)

    def analyse(self, payload: bytes) -> Analysis:
        """Analyse one image file.

        Raises:
            AnalysisError: the file, or the model server, gives no answer.
        """
        return self.ask(self.prepare(payload))

    def prepare(self, payload: bytes) -> PreparedScan:
        """Decode and letterbox one image file.

        Raises:
            AnalysisError: 413, 415 or 422, with the code of the `ScanError`.
        """
        try:
            with self._decoding:
                start = time.perf_counter()
                image = prepare_scan(payload)
                return PreparedScan(image, _milliseconds_since(start))
        except ScanError as error:
            raise refused_file(error) from error
        except Exception as error:
            raise _unexpected() from error

    def ask(self, scan: PreparedScan) -> Analysis:
        """Ask the model about a prepared scan.

        Raises:
            AnalysisError: 502, 503 or 504.
        """
        try:
            start = time.perf_counter()
            try:
                answer, thresholds = self._predict(scan)
            except errors.ModelNotFound:
                # The version may have been replaced between the two calls; its successor is ready.
                answer, thresholds = self._predict(scan)
            latency = Latency(prepare=scan.prepare_ms, model=_milliseconds_since(start))
        except errors.ServingError as error:
            _log.warning("no answer from the model server: %s: %s", type(error).__name__, error)
            raise failed_server(error) from error
        except Exception as error:
            raise _unexpected() from error
        version = ModelVersion(name=self.model, version=answer.version)
        return _analysis(answer.predictions[0], thresholds, version, latency)

    def _predict(self, scan: PreparedScan) -> tuple[Answer, Thresholds]:
        answer = self.client.predict(scan.image[np.newaxis])
        return answer, self.client.thresholds(answer.version)


def refused_file(error: ScanError) -> AnalysisError:
    """The answer to a file that cannot be used as a scan."""
    status = {"too_large": 413, "unsupported_format": 415}.get(error.code, 422)
    return AnalysisError(status, error.code, str(error))


def failed_server(error: errors.ServingError) -> AnalysisError:
    """The answer when the model server gives none.

    The sentences are written here: those of the client name addresses, which are the operator's affair.
    """
    match error:
        case errors.ServerOverloaded():
            return AnalysisError(
                503,
                "server_overloaded",
                "The model server is busy. Try again in a few seconds.",
                RETRY_AFTER_S,
            )
        case errors.ModelNotFound():
            return AnalysisError(
                503,
                "model_not_found",
                "The model server runs, but no version of the model is ready. Try again shortly.",
                RETRY_AFTER_S,
            )
        case errors.ServerUnavailable():
            return AnalysisError(
                503,
                "server_unavailable",
                "The model server cannot be reached. Your scan was not analysed; try again shortly.",
                RETRY_AFTER_S,
            )
        case errors.DeadlineExceeded():
            return AnalysisError(
                504,
                "deadline_exceeded",
                "The model server took too long to answer. Your scan was not analysed; try again.",
            )
        case errors.RequestRejected():
            return AnalysisError(
                502,
                "request_rejected",
                "The model server refused the scan. Tell whoever runs this service.",
            )
        case _:
            return AnalysisError(
                502,
                "contract_error",
                "The model server's answer could not be understood, so no diagnosis was read from it. "
                "Tell whoever runs this service.",
            )


def _unexpected() -> AnalysisError:
    _log.exception("unexpected error while analysing a scan")
    return AnalysisError(
        500, "internal_error", "Something went wrong on our side. Your scan was not analysed."
    )


def _analysis(
    prediction: Prediction, thresholds: Thresholds, version: ModelVersion, latency: Latency
) -> Analysis:
    return Analysis(
        label=prediction.label,
        probability=prediction.probability,
        confidence=prediction.confidence,
        risk=prediction.risk,
        in_distribution=prediction.in_distribution,
        ood_score=prediction.ood_score,
        thresholds=ThresholdValues(
            low=thresholds.low, label=thresholds.label, high=thresholds.high
        ),
        model=version,
        latency_ms=latency,
        disclaimer=DISCLAIMER,
    )


def _milliseconds_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 2)
