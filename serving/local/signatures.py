"""What a signature asks of a request, in TensorFlow Serving's words."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from serving.local.errors import RequestError, invalid
from serving.tensors import Arrays

_SHORT: Final = {"float32": "float", "float64": "double"}


def check_inputs(definition: Any, inputs: Arrays) -> None:
    """Names, types and shapes are those of the signature.

    TensorFlow Serving itself leaves shapes to the graph, and has given a diagnosis for 10x10 pixels.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    check_names(definition, inputs)
    for name in sorted(inputs):
        _check_input(name, definition.inputs[name], inputs[name])


def check_names(definition: Any, inputs: Collection[str]) -> None:
    """The inputs are those of the signature.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    needed, sent = set(definition.inputs), set(inputs)
    if len(needed) != len(sent):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(needed)} "
            f"len({{{_listed(sent)}}}) != len({{{_listed(needed)}}}). "
            f"Sent extra: {{{_listed(sent - needed)}}}. "
            f"Missing but required: {{{_listed(needed - sent)}}}."
        )
    for name in sorted(needed):
        if name not in sent:
            raise invalid(
                f"Signature input alias: {name}(feed name: {definition.inputs[name].name}) not found "
                "in request and no default value provided. Inputs expected to be in the request "
                f"{{{_listed(sent)}}}, or default input alias set: "
            )


def check_outputs(definition: Any, output_filter: Sequence[str]) -> None:
    """Every name of a filter is an output.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    for name in output_filter:
        if name not in definition.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{_listed(set(definition.outputs))}}}."
            )


def is_batchable(definition: Any) -> bool:
    """Whether every input and output has rows, any number of them, so that requests can be merged."""
    infos = [*definition.inputs.values(), *definition.outputs.values()]
    return bool(definition.inputs) and all(
        info.tensor_shape.dim and info.tensor_shape.dim[0].size < 0 for info in infos
    )


def refuse_classify(definition: Any) -> RequestError:
    """Why a signature cannot answer Classify."""
    if len(definition.inputs) != 1:
        return invalid("Expected one input Tensor.")
    if len(definition.outputs) not in (1, 2):
        return invalid(f"Expected one or two output Tensors, found {len(definition.outputs)}")
    return _no_examples("classification", definition)


def refuse_regress(definition: Any) -> RequestError:
    """Why a signature cannot answer Regress."""
    if len(definition.inputs) != 1:
        return invalid("Expected one input Tensor.")
    if len(definition.outputs) != 1:
        return invalid("Expected one output Tensor.")
    return _no_examples("regression", definition)


def _no_examples(kind: str, definition: Any) -> RequestError:
    if "inputs" not in definition.inputs:
        return RequestError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"No {kind} inputs found in SignatureDef: {definition}",
        )
    return RequestError(
        grpc.StatusCode.UNIMPLEMENTED,
        f"This server answers no {kind} requests, even where the model could; use Predict.",
    )


def _check_input(name: str, info: Any, array: NDArray[Any]) -> None:
    wanted = tf.DType(info.dtype)
    if tf.as_dtype(array.dtype if array.dtype != object else np.dtype("S")) != wanted:
        given = "string" if array.dtype == object else tf.as_dtype(array.dtype).name
        raise invalid(
            f"Expects arg[0] to be {_SHORT.get(wanted.name, wanted.name)} "
            f"but {_SHORT.get(given, given)} is provided"
        )
    sizes = [dim.size for dim in info.tensor_shape.dim]
    fits = info.tensor_shape.unknown_rank or (
        len(sizes) == array.ndim
        and all(size in (-1, given) for size, given in zip(sizes, array.shape, strict=True))
    )
    if not fits:
        given = ",".join(str(size) for size in array.shape)
        expected = ",".join("?" if size < 0 else str(size) for size in sizes)
        raise invalid(
            f"Shape of tensor {name} [{given}] is not compatible with expected shape [{expected}]."
        )


def _listed(names: set[str]) -> str:
    return ",".join(sorted(names))
