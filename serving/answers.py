"""What the client hands out, and the checks that stand between a server's arrays and a diagnosis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.card import parse_card
from serving.contract import IMAGE_SHAPE, SIGNATURES, Label, Risk
from serving.errors import ContractError, RequestRejected
from serving.tensors import Arrays
from serving.transport import Metadata


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
    """Predictions in the order of the images.

    Attributes:
        predictions: one for each image.
        version: the one that made all of them.
        latency_s: from question to answer as the caller saw it, network and retries included.
    """

    predictions: tuple[Prediction, ...]
    version: int
    latency_s: float


def check_images(images: NDArray[np.uint8]) -> None:
    """Refuse what is no batch of scans, before it is sent.

    Raises:
        ValueError: not uint8 `[N, 224, 224, 3]` with at least one scan.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise ValueError(
            f"images must be uint8 [N, 224, 224, 3], not {images.dtype} {list(images.shape)}; "
            "data.imaging.prepare_scan makes one."
        )
    if not len(images):
        raise ValueError("images must hold at least one scan.")


def check_contract(metadata: Metadata) -> None:
    """A version's signatures are such that its answers can be read.

    Raises:
        ContractError: one is missing or has other tensors, with its name.
    """
    for name, signature in SIGNATURES.items():
        found = metadata.signatures.get(name)
        if found is None or not signature.is_fulfilled_by(found):
            problem = "lacks" if found is None else "has other tensors in"
            raise ContractError(
                f"Version {metadata.version} on the server {problem} the signature {name!r} of the "
                "contract, so that no result of it can be read. Publish a version made by "
                "`python -m training export`, or ask another one."
            )


def check_outputs(signature: str, outputs: Arrays, count: int) -> None:
    """Names, types, ranks and the batch size of an answer are as agreed.

    Raises:
        ContractError: they are not.
    """
    for name, spec in SIGNATURES[signature].outputs.items():
        array = outputs.get(name)
        expected = np.dtype(object) if spec.dtype == "string" else np.dtype(spec.dtype)
        if array is None or array.dtype != expected or array.ndim != len(spec.shape):
            raise ContractError(f"The server's answer lacks a valid {name}; no result can be read.")
        if len(array) != count:
            raise ContractError(
                f"The server answered {len(array)} results for {count} images; none can be trusted."
            )


def read_predictions(outputs: Arrays) -> list[Prediction]:
    """One prediction an image, from arrays that passed `check_outputs`.

    Raises:
        RequestRejected: the model refuses an image.
        ContractError: a value that the contract does not allow.
    """
    for sentence in outputs.get("error", ()):
        if sentence:
            text = sentence.decode("utf-8", "replace")
            raise RequestRejected(f"The model refuses an image: {text}")
    return [_prediction(outputs, i) for i in range(len(outputs["probability"]))]


def read_card(outputs: Arrays) -> dict[str, Any]:
    """The model card in an answer of the `card` signature.

    Raises:
        ContractError: it is no JSON object, or holds no thresholds that make sense.
    """
    try:
        card = parse_card(outputs["card"][0])
        read_thresholds(card)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ContractError("The server's model card cannot be read.") from error
    return card


def read_thresholds(card: dict[str, Any]) -> Thresholds:
    """The operating points in a model card.

    Raises:
        KeyError, OverflowError, TypeError, ValueError: there are none, or not in order within 0..1.
    """
    stated = card["thresholds"]
    low, label, high = (float(stated[name]) for name in ("low", "label", "high"))
    if not 0.0 <= low <= label <= high <= 1.0:
        raise ValueError("the thresholds are not 0 <= low <= label <= high <= 1")
    return Thresholds(low=low, label=label, high=high)


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
