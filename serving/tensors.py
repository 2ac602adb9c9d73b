"""Tensors on the wire, and what signatures say of them: protos to NumPy and back, without TensorFlow.

Works on our slim messages and on TensorFlow's own, whose fields have the same names.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.contract import Signature, TensorSpec

Arrays = dict[str, NDArray[Any]]

#: DataType number of tensorflow/core/framework/types.proto, NumPy dtype, field of single values.
_TYPES: Final = (
    (1, np.dtype(np.float32), "float_val"),
    (2, np.dtype(np.float64), "double_val"),
    (3, np.dtype(np.int32), "int_val"),
    (4, np.dtype(np.uint8), "int_val"),
    (5, np.dtype(np.int16), "int_val"),
    (6, np.dtype(np.int8), "int_val"),
    (9, np.dtype(np.int64), "int64_val"),
    (10, np.dtype(np.bool_), "bool_val"),
    (17, np.dtype(np.uint16), "int_val"),
    (22, np.dtype(np.uint32), "uint32_val"),
    (23, np.dtype(np.uint64), "uint64_val"),
)
DT_STRING: Final = 7
_BY_NUMBER: Final = {number: (dtype, field) for number, dtype, field in _TYPES} | {
    DT_STRING: (np.dtype(object), "string_val")
}
_BY_DTYPE: Final = {dtype: number for number, dtype, _ in _TYPES}
#: A larger tensor is refused before memory is taken for it: one value on the wire may fill any shape.
MAX_TENSOR_BYTES: Final = 2**28


def read_tensor(proto: Any) -> NDArray[Any]:
    """The array in a TensorProto; strings become an object array of bytes.

    Values may come packed in `tensor_content` or one by one; of the latter, missing ones repeat the
    last, as TensorFlow reads them.

    Raises:
        ValueError: unknown type, unknown shape, content that does not fit shape or type, or too large.
    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError("the tensor has no definite shape")
    if proto.dtype not in _BY_NUMBER:
        raise ValueError(f"tensors of type {proto.dtype} are not supported")
    dtype, field = _BY_NUMBER[proto.dtype]
    count = math.prod(shape)
    if count * dtype.itemsize > MAX_TENSOR_BYTES:
        raise ValueError(
            f"the tensor takes {count * dtype.itemsize} bytes, more than {MAX_TENSOR_BYTES}"
        )
    content = proto.tensor_content  # once: every look at the field copies it
    if content and proto.dtype != DT_STRING:
        if len(content) != count * dtype.itemsize:
            raise ValueError(
                f"the tensor's content has {len(content)} bytes, "
                f"its shape needs {count * dtype.itemsize}"
            )
        packed = np.frombuffer(content, dtype.newbyteorder("<"))
        return packed.astype(dtype, copy=False).reshape(shape)
    return _filled(getattr(proto, field), count, dtype).reshape(shape)


def write_tensor(array: NDArray[Any], proto: Any, *, packed: bool = True) -> None:
    """Fill an empty TensorProto from an array; an object array must hold bytes.

    Args:
        array: of any shape.
        proto: ours or TensorFlow's.
        packed: bytes in `tensor_content`, small and quick; otherwise one by one in `float_val` and the
            like, which is where programs look for TensorFlow Serving's answers.

    Raises:
        ValueError: the array's type has no counterpart on the wire.
    """
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if array.dtype == object:
        proto.dtype = DT_STRING
        proto.string_val.extend(array.ravel().tolist())
        return
    number = _BY_DTYPE.get(array.dtype)
    if number is None:
        raise ValueError(f"arrays of type {array.dtype} cannot be sent")
    proto.dtype = number
    if not packed:
        getattr(proto, _BY_NUMBER[number][1]).extend(array.ravel().tolist())
        return
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    proto.tensor_content = np.ascontiguousarray(little).tobytes()


def read_signatures(definitions: Mapping[str, Any]) -> dict[str, Signature]:
    """From SignatureDef by name; TensorFlow's own, such as `__saved_model_init_op`, are left out."""
    return {
        name: Signature(_specs(one.inputs), _specs(one.outputs))
        for name, one in definitions.items()
        if not name.startswith("__")
    }


def _specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(
            dtype_name(info.dtype),
            tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }


def dtype_name(number: int) -> str:
    """`float32`, `string` … for a DataType number; `type 99` for one we do not know."""
    if number == DT_STRING:
        return "string"
    return _BY_NUMBER[number][0].name if number in _BY_NUMBER else f"type {number}"


def _filled(values: Sequence[Any], count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if len(values) > count or (count and not values):
        raise ValueError(f"the tensor has {len(values)} values, its shape needs {count}")
    array = np.empty(count, dtype)
    try:
        array[: len(values)] = list(values)
    except OverflowError as error:
        raise ValueError(f"the tensor has values that are no {dtype}") from error
    if len(values) < count:
        array[len(values) :] = values[-1]
    return array
