"""Does a loaded model answer as the contract says? Asked before a version is published."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import data
from data.imaging import prepare_scan, read_scan
from serving.answers import read_thresholds
from serving.card import parse_card
from serving.contract import (
    CARD,
    DECISION,
    EXPLAIN,
    IMAGE_SHAPE,
    RGB,
    RGB_BYTES,
    SERVING_DEFAULT,
    SIGNATURES,
    Label,
    Risk,
)

Arrays = Mapping[str, NDArray[Any]]
#: Runs a signature of the model; strings come as object arrays of bytes. Raises whatever it refuses with.
Call = Callable[[str, Arrays], Arrays]

#: Largest difference of a number between two ways of asking the same: signatures, batch sizes.
TOLERANCE: Final = 1e-4
_SAMPLES: Final = Path(data.__file__).parent / "samples"
_SAMPLES_EACH: Final = 3


class AnswerError(Exception):
    """The model does not answer as the contract says; the text says how."""


def check_answers(call: Call) -> int:
    """Ask all signatures, together and one by one, about blank images, noise and sample scans.

    Returns:
        How many images were asked about.

    Raises:
        AnswerError: an answer has another type, shape or range than agreed, contradicts the card's
            thresholds, depends on how it was asked, or bad input got a diagnosis.
    """
    images = _images()
    _check_card(call)
    together = _ask(call, SERVING_DEFAULT, {"images": images}, len(images))
    explained = _ask(call, EXPLAIN, {"images": images}, len(images))
    _check_same(together, explained, "serving_default and explain disagree")
    if not ((explained["heatmap"] >= 0.0) & (explained["heatmap"] <= 1.0)).all():
        raise AnswerError("explain answers a heatmap outside 0..1")
    strings = _objects([image.tobytes() for image in images])
    by_bytes = _ask(call, RGB, {"rgb_bytes": strings}, len(images))
    _check_same(together, by_bytes, "serving_default and rgb disagree")
    if any(by_bytes["error"]):
        raise AnswerError("rgb reports an error for a good image")
    for i in range(len(images)):
        alone = _ask(call, SERVING_DEFAULT, {"images": images[i : i + 1]}, 1)
        one = {name: together[name][i : i + 1] for name in DECISION}
        _check_same(one, alone, f"image {i} is answered otherwise alone than among others")
    _check_refusals(call, strings[:1], {name: together[name][:1] for name in DECISION})
    return len(images)


def _check_refusals(call: Call, good: NDArray[Any], expected: Arrays) -> None:
    """Bad bytes fail alone, an image of another size is refused: TensorFlow Serving checks neither."""
    for bad in (b"", b"\0" * (RGB_BYTES - 1), b"\0" * (RGB_BYTES + 3)):
        asked = {"rgb_bytes": _objects([bad, good[0]])}
        answer = _checked_types(RGB, call(RGB, asked), 2)
        refused = answer["error"][0] and answer["probability"][0] == -1.0
        if not refused or answer["label"][0] or answer["risk"][0]:
            raise AnswerError(f"rgb answers {len(bad)} bytes with a diagnosis, not with an error")
        neighbour = {name: answer[name][1:] for name in DECISION}
        _check_same(expected, neighbour, "bad bytes change the answer about their neighbour")
    for shape in ((10, 10, 3), (IMAGE_SHAPE[0], IMAGE_SHAPE[1], 1)):
        small = np.zeros((1, *shape), np.uint8)
        if _is_answered(call, SERVING_DEFAULT, {"images": small}):
            raise AnswerError(
                f"the graph answers an image of shape {list(shape)}; it must refuse it"
            )


def _is_answered(call: Call, signature: str, inputs: Arrays) -> bool:
    try:
        call(signature, inputs)
    except Exception:  # whatever it refuses with
        return False
    return True


def _check_card(call: Call) -> None:
    answer = _checked_types(CARD, call(CARD, {"format": _objects([b"json", b"markdown"])}), 2)
    try:
        read_thresholds(parse_card(answer["card"][0]))
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise AnswerError("the card signature holds no thresholds in order") from error
    if not answer["card"][1]:
        raise AnswerError("the card signature answers nothing for markdown")


def _ask(call: Call, signature: str, inputs: Arrays, n: int) -> Arrays:
    """Answers of one call, types, shapes and ranges checked."""
    answer = _checked_types(signature, call(signature, inputs), n)
    probability = answer["probability"]
    if not ((probability >= 0.0) & (probability <= 1.0)).all():
        raise AnswerError(f"{signature} answers a probability outside 0..1")
    if not np.isfinite(answer["ood_score"]).all():
        raise AnswerError(f"{signature} answers an ood_score that is no number")
    for name, known in (("label", Label), ("risk", Risk)):
        unknown = {value.decode(errors="replace") for value in answer[name]} - set(known)
        if unknown:
            raise AnswerError(f"{signature} answers an unknown {name}: {min(unknown)!r}")
    return answer


def _checked_types(signature: str, answer: Arrays, n: int) -> Arrays:
    for name, spec in SIGNATURES[signature].outputs.items():
        array = answer[name]
        expected = np.dtype(object) if spec.dtype == "string" else np.dtype(spec.dtype)
        if array.dtype != expected or array.ndim != len(spec.shape) or len(array) != n:
            raise AnswerError(
                f"{signature} answers {n} images with {name} {array.dtype} {list(array.shape)}"
            )
    return answer


def _check_same(one: Arrays, other: Arrays, otherwise: str) -> None:
    for name, spec in DECISION.items():
        if spec.dtype == "float32":
            same = np.allclose(one[name], other[name], rtol=TOLERANCE, atol=TOLERANCE)
        else:
            same = bool((one[name] == other[name]).all())
        if not same:
            raise AnswerError(f"{otherwise}, in {name}")


def _images() -> NDArray[np.uint8]:
    """Black, white and noise images, then samples of both classes, uint8 `[N, 224, 224, 3]`."""
    noise = np.random.default_rng(0).integers(0, 256, IMAGE_SHAPE, np.uint8)
    made = [np.zeros(IMAGE_SHAPE, np.uint8), np.full(IMAGE_SHAPE, 255, np.uint8), noise]
    for folder in ("yes", "no"):
        paths = sorted((_SAMPLES / folder).glob("*.jpg"))[:_SAMPLES_EACH]
        made += [prepare_scan(read_scan(path)) for path in paths]
    return np.stack(made)


def _objects(values: list[bytes]) -> NDArray[Any]:
    """An object array `[N]`; numpy's own byte strings would lose trailing zeros."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
