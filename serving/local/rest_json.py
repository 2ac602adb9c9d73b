"""TensorFlow Serving's JSON: requests in row or column form to arrays, and arrays back."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from serving.local.errors import RequestError, invalid
from serving.tensors import Arrays

ROWS: Final = "instances"
COLUMNS: Final = "inputs"


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a predict request.

    Raises:
        RequestError: not JSON, not an object, or not in exactly one of the two forms.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid value. at offset: {error.pos}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise invalid("JSON Parse error: Invalid encoding in string.") from error
    except ValueError as error:  # an integer of thousands of digits
        raise invalid("JSON Parse error: Number too big to be stored in double.") from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    if ROWS in document and COLUMNS in document:
        raise invalid(
            f"JSON Value: {_shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if ROWS not in document and COLUMNS not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    return document


def read_inputs(document: Mapping[str, Any], infos: Mapping[str, Any]) -> Arrays:
    """The input tensors of a request.

    Args:
        document: from `parse_body`.
        infos: TensorInfo by input name, from the signature.

    Raises:
        RequestError: INVALID_ARGUMENT, with the element at fault.
    """
    if COLUMNS in document:
        return _read_columns(document[COLUMNS], infos)
    rows = document[ROWS]
    if not isinstance(rows, list):
        raise invalid(f"Expecting 'instances' value to be a list; got {_shown(rows)}")
    if not rows:
        raise invalid(f"JSON Value: {_shown(document)} No values in 'instances' array")
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in infos}
    for i, row in enumerate(rows):
        for name, value in _named(row, infos, i).items():
            place = f"Failed to process element: {i} of 'instances' list. Error: "
            columns[name].append(_array(value, infos[name], place))
    try:
        return {name: np.stack(arrays) for name, arrays in columns.items()}
    except ValueError as error:
        raise invalid("Encountered list at unexpected size: elements differ in shape") from error


def write_outputs(outputs: Arrays, *, rows: bool) -> bytes:
    """The body of an answer, in the form of the request.

    Raises:
        RequestError: INTERNAL if an output is NaN or infinite, which JSON cannot say.
    """
    columns = {name: _plain(name, array) for name, array in outputs.items()}
    answer: dict[str, Any]
    if not rows:
        answer = {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}
    elif len(columns) == 1:
        answer = {"predictions": next(iter(columns.values()))}
    else:
        keys = list(columns)
        each = zip(*columns.values(), strict=True)
        answer = {"predictions": [dict(zip(keys, row, strict=True)) for row in each]}
    try:
        return json.dumps(answer, allow_nan=False).encode()
    except ValueError as error:
        raise RequestError(
            grpc.StatusCode.INTERNAL, "The model's output is not finite and cannot be JSON"
        ) from error


def _read_columns(inputs: Any, infos: Mapping[str, Any]) -> Arrays:
    if not isinstance(inputs, dict) or _is_bytes(inputs):
        if len(infos) != 1:
            raise invalid("'inputs' is a plain value/list, but expecting as object for each input")
        inputs = {next(iter(infos)): inputs}
    arrays = {}
    for name in infos:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = _array(inputs[name], infos[name], "")
    extra = [name for name in inputs if name not in infos]
    if extra:
        raise invalid(f"JSON object: does not have named input: {extra[0]}")
    return arrays


def _named(row: Any, infos: Mapping[str, Any], i: int) -> dict[str, Any]:
    if not isinstance(row, dict) or _is_bytes(row):
        if len(infos) == 1:
            return {next(iter(infos)): row}
        raise invalid(f"Failed to process element: {i} of 'instances' list. Is not object")
    for name in row:
        if name not in infos:
            raise invalid(
                f"Failed to process element: {i} key: {name} of 'instances' list. Error: "
                f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
            )
    for name in infos:
        if name not in row:
            raise invalid(
                f"Failed to process element: {i} of 'instances' list. Missing key: {name}"
            )
    return row


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _array(value: Any, info: Any, place: str) -> NDArray[Any]:
    """One JSON value as an array of the tensor's type."""
    dtype = tf.DType(info.dtype)
    place = f"{place}INVALID_ARGUMENT: " if place else ""
    if dtype == tf.string:
        return _strings(value, place)
    try:
        array = np.array(value)
    except ValueError as error:
        raise invalid(f"{place}Encountered list at unexpected depth or size") from error
    wanted = np.dtype(dtype.as_numpy_dtype)
    if array.dtype == object or array.dtype.kind in "US" or not _castable(array, wanted):
        culprit, kind = _culprit(array, wanted)
        raise invalid(
            f"{place}JSON Value: {culprit} Type: {kind} is not of expected type: {dtype.name}"
        )
    with np.errstate(over="ignore"):  # becomes infinite, as in TensorFlow Serving
        return array.astype(wanted)


def _castable(array: NDArray[Any], wanted: np.dtype[Any]) -> bool:
    if wanted.kind == "b" or array.dtype.kind == "b":
        return wanted.kind == array.dtype.kind
    if wanted.kind in "iu":
        if array.dtype.kind not in "iu":
            return array.size == 0
        limits = np.iinfo(wanted)
        return bool(array.size == 0 or (array.min() >= limits.min and array.max() <= limits.max))
    return wanted.kind == "f" and array.dtype.kind in "iuf"


def _culprit(array: NDArray[Any], wanted: np.dtype[Any]) -> tuple[str, str]:
    """The first element of the wrong type, as JSON, and what JSON calls its type."""
    names = {str: "String", bool: "Boolean", type(None): "Null", dict: "Object", list: "Array"}
    for element in array.ravel().tolist():
        if not _castable(np.array(element), wanted):
            return _shown(element), names.get(type(element), "Number")
    return _shown(array.tolist()), "Array"


def _strings(value: Any, place: str) -> NDArray[Any]:
    if isinstance(value, list):
        if not value:
            return np.empty(0, object)
        try:
            return np.stack([_strings(element, place) for element in value])
        except (IndexError, RecursionError, ValueError) as error:  # IndexError: more than 64 levels
            raise invalid(f"{place}Encountered list at unexpected depth or size") from error
    if _is_bytes(value):
        try:
            text = base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise invalid(f"{place}Unable to base64 decode") from error
    elif isinstance(value, str):
        try:
            text = value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise invalid(f"{place}JSON Value is not valid UTF-8") from error
    else:
        raise invalid(f"{place}JSON Value: {_shown(value)} is not of expected type: string")
    array = np.empty((), object)
    array[()] = text
    return array


def _plain(name: str, array: NDArray[Any]) -> list[Any]:
    """An output as JSON values; names that end in `_bytes` are base64, as TensorFlow Serving has it."""
    if array.dtype == object:
        if name.endswith("_bytes"):
            return [{"b64": base64.b64encode(text).decode()} for text in array.tolist()]
        return [text.decode("utf-8", "replace") for text in array.tolist()]
    if array.dtype == np.float32:
        # The shortest decimal that reads back as the same float32, not the digits of a float64.
        shortest = [float(str(number)) for number in array.ravel()]
        return np.array(shortest).reshape(array.shape).tolist()
    return array.tolist()


def _shown(value: Any) -> str:
    """A JSON value for an error message, cut: a request may be megabytes, and hold a scan."""
    try:
        text = _pretty(value)
    except RecursionError:  # printing takes more of the stack than reading
        return "of too many levels"
    return text if len(text) <= 100 else text[:100] + "…"


def _pretty(value: Any, margin: str = "") -> str:
    """JSON as TensorFlow Serving prints it: objects over several lines, arrays in one."""
    if isinstance(value, list):
        # Every element has a character at least: those past the cut need not be written.
        return "[" + ", ".join(_pretty(one, margin) for one in value[:101]) + "]"
    if isinstance(value, dict) and value:
        inner = margin + "    "
        lines = (f"{inner}{json.dumps(key)}: {_pretty(one, inner)}" for key, one in value.items())
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    return json.dumps(value)
