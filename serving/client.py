"""The client of a model server: the one that the page, the command line and the tests use.

    with Client("127.0.0.1:8500") as client:
        answer = client.predict(images)
        print(answer.version, answer.predictions[0].probability)

It speaks gRPC and REST, imports no TensorFlow, gives every call a deadline, and checks every answer
against the contract, so that a broken server yields an error and never a diagnosis.
"""

import json
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from serving.contract import (
    CARD,
    EXPLAIN,
    IMAGE_SHAPE,
    MODEL_NAME,
    RGB,
    SERVING_DEFAULT,
    SIGNATURES,
    Label,
    Risk,
)
from serving.errors import ContractError, RequestRejected
from serving.grpc_transport import GrpcTransport
from serving.rest_transport import RestTransport
from serving.transport import Arrays, Metadata, Transport

DEFAULT_ADDRESS: Final = "127.0.0.1:8500"
DEFAULT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True)
class Thresholds:
    """Operating points of a version on P(tumour): `low <= label <= high`."""

    low: float
    label: float
    high: float


@dataclass(frozen=True)
class Prediction:
    """What the model says about one scan.

    Attributes:
        probability: calibrated P(tumour), 0..1.
        label: tumor from the version's `label` threshold up.
        risk: low, medium ("unsure") or high.
        in_distribution: false for an image unlike those the model knows; do not rely on the rest then.
        ood_score: how unlike, 0 for a typical scan, above 1 refused.
        heatmap: only from `explain`: float32 `[h, w]`, 0..1, where the evidence for a tumour lies.
    """

    probability: float
    label: Label
    risk: Risk
    in_distribution: bool
    ood_score: float
    heatmap: NDArray[np.float32] | None = None

    @property
    def confidence(self) -> float:
        """Probability of `label`, 0..1."""
        return self.probability if self.label == Label.TUMOR else 1.0 - self.probability


@dataclass(frozen=True)
class Answer:
    """Predictions in the order of the images, and the version that made all of them."""

    predictions: tuple[Prediction, ...]
    version: int


class Client:
    """A connection to one model on one server; safe to share between threads."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        model: str = MODEL_NAME,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """Prepare to call; nothing is sent yet.

        Args:
            address: `HOST:PORT` for gRPC, `http://HOST:PORT` or `https://…` for REST.
            model: its name on the server.
            timeout_s: longest wait for an answer, in seconds, unless a call says otherwise.

        Raises:
            ValueError: the address is neither.
        """
        self._transport: Transport = _connect(address, model)
        self._is_rest = isinstance(self._transport, RestTransport)
        self._timeout_s = timeout_s
        self._cards: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._transport.close()

    def predict(
        self,
        images: NDArray[np.uint8],
        *,
        version: int | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Classify scans.

        Args:
            images: uint8 `[N, 224, 224, 3]`, RGB, letterboxed (see `data.imaging.prepare_scan`).
            version: ask this one; by default the newest available.
            timeout_s: longest wait in seconds.

        Raises:
            ValueError: `images` has another shape or type.
            ServingError: see `serving.errors`.
        """
        _check_images(images)
        if self._is_rest:
            # Base64 of the bytes: a fifth of the JSON, and a thousandth of the time to encode it.
            texts = np.empty(len(images), object)
            texts[:] = [image.tobytes() for image in images]
            return self._ask(RGB, {"rgb_bytes": texts}, version, timeout_s, len(images))
        return self._ask(SERVING_DEFAULT, {"images": images}, version, timeout_s, len(images))

    def explain(
        self,
        images: NDArray[np.uint8],
        *,
        version: int | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Classify scans and say where the evidence lies; arguments and errors as for `predict`.

        Over REST each image is about 0.5 MB of JSON: prefer gRPC.
        """
        _check_images(images)
        return self._ask(EXPLAIN, {"images": images}, version, timeout_s, len(images))

    def card(self, version: int | None = None, *, timeout_s: float | None = None) -> dict[str, Any]:
        """The model card of a version, by default the newest; each is fetched once.

        Raises:
            ServingError: see `serving.errors`.
        """
        if version is not None and version in self._cards:
            return self._cards[version]
        texts = np.array([b"json"], object)
        outputs, answered = self._call(CARD, {"format": texts}, version, timeout_s, 1)
        try:
            card = json.loads(outputs["card"][0])
            Thresholds(
                **{name: float(card["thresholds"][name]) for name in ("low", "label", "high")}
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError("The server's model card cannot be read.") from error
        with self._lock:
            self._cards[answered] = card
        return card

    def thresholds(
        self, version: int | None = None, *, timeout_s: float | None = None
    ) -> Thresholds:
        """The operating points of a version, by default the newest."""
        stated = self.card(version, timeout_s=timeout_s)["thresholds"]
        return Thresholds(
            low=float(stated["low"]), label=float(stated["label"]), high=float(stated["high"])
        )

    def status(self, *, timeout_s: float | None = None) -> dict[int, str]:
        """State by version, as the server names it: `AVAILABLE` answers."""
        return self._transport.status(self._timeout(timeout_s))

    def metadata(self, version: int | None = None, *, timeout_s: float | None = None) -> Metadata:
        """Signatures and tensors of a version, by default the newest."""
        return self._transport.metadata(version, self._timeout(timeout_s))

    def _timeout(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else timeout_s

    def _call(
        self, signature: str, inputs: Arrays, version: int | None, timeout_s: float | None, n: int
    ) -> tuple[Arrays, int]:
        outputs, answered = self._transport.predict(
            signature, inputs, version, self._timeout(timeout_s)
        )
        _check_outputs(signature, outputs, n)
        return outputs, answered

    def _ask(
        self, signature: str, inputs: Arrays, version: int | None, timeout_s: float | None, n: int
    ) -> Answer:
        outputs, answered = self._call(signature, inputs, version, timeout_s, n)
        for sentence in outputs.get("error", ()):
            if sentence:
                text = sentence.decode("utf-8", "replace")
                raise RequestRejected(f"The model refuses an image: {text}")
        predictions = [_prediction(outputs, i) for i in range(n)]
        return Answer(tuple(predictions), answered)


def _connect(address: str, model: str) -> Transport:
    if address.startswith(("http://", "https://")):
        return RestTransport(address, model)
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ValueError(
            f"{address!r} is no address of a model server. "
            "Give HOST:PORT for gRPC or http://HOST:PORT for REST."
        )
    return GrpcTransport(address, model)


def _check_images(images: NDArray[np.uint8]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise ValueError(
            f"images must be uint8 [N, 224, 224, 3], not {images.dtype} {list(images.shape)}; "
            "data.imaging.prepare_scan makes one."
        )
    if not len(images):
        raise ValueError("images must hold at least one scan.")


def _check_outputs(signature: str, outputs: Arrays, n: int) -> None:
    """Names, types, ranks and the batch size of an answer are as agreed."""
    for name, spec in SIGNATURES[signature].outputs.items():
        array = outputs.get(name)
        expected = np.dtype(object) if spec.dtype == "string" else np.dtype(spec.dtype)
        if array is None or array.dtype != expected or array.ndim != len(spec.shape):
            raise ContractError(f"The server's answer lacks a valid {name}; no result can be read.")
        if len(array) != n:
            raise ContractError(
                f"The server answered {len(array)} results for {n} images; none can be trusted."
            )


def _prediction(outputs: Arrays, i: int) -> Prediction:
    probability = float(outputs["probability"][i])
    score = float(outputs["ood_score"][i])
    if not 0.0 <= probability <= 1.0 or not np.isfinite(score):
        raise ContractError(
            "The server answered a probability outside 0..1; no result can be read."
        )
    try:
        label, risk = Label(outputs["label"][i].decode()), Risk(outputs["risk"][i].decode())
    except ValueError as error:
        raise ContractError("The server answered an unknown label or risk.") from error
    heatmap = outputs.get("heatmap")
    # NaN fails both comparisons.
    if heatmap is not None and not ((heatmap[i] >= 0.0) & (heatmap[i] <= 1.0)).all():
        raise ContractError("The server answered a heatmap outside 0..1; no result can be read.")
    return Prediction(
        probability=probability,
        label=label,
        risk=risk,
        in_distribution=bool(outputs["in_distribution"][i]),
        ood_score=score,
        heatmap=None if heatmap is None else heatmap[i],
    )
