"""Tensors on the wire against TensorFlow's own reading of them."""

import numpy as np
import pytest
import tensorflow as tf

from serving.contract import SIGNATURES, Signature, TensorSpec
from serving.tensors import dtype_name, read_tensor, write_tensor
from serving.wire import messages_pb2 as wire

DTYPES = ["float32", "float64", "int32", "uint8", "int16", "int8", "int64", "bool", "uint16"]
DTYPES += ["uint32", "uint64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensorflow_reads_what_we_write_and_we_read_what_it_writes(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    ours = wire.TensorProto()
    write_tensor(array, ours)
    theirs = tf.make_tensor_proto(array)
    official = type(theirs).FromString(ours.SerializeToString())
    assert tf.make_ndarray(official).tolist() == array.tolist()
    slim = wire.TensorProto.FromString(theirs.SerializeToString())
    assert read_tensor(slim).dtype == array.dtype
    assert read_tensor(slim).tolist() == array.tolist()
    assert dtype_name(slim.dtype) == dtype


def test_strings_pass_both_ways():
    array = np.array([b"tumor", b"\xff\x00"], object)
    ours = wire.TensorProto()
    write_tensor(array, ours)
    official = type(tf.make_tensor_proto([b""])).FromString(ours.SerializeToString())
    assert tf.make_ndarray(official).tolist() == [b"tumor", b"\xff\x00"]
    assert read_tensor(ours).tolist() == [b"tumor", b"\xff\x00"]


def test_a_single_value_fills_the_shape():
    proto = tf.make_tensor_proto(7, tf.uint8, (2, 3))
    assert len(proto.int_val) == 1
    assert read_tensor(proto).tolist() == [[7, 7, 7], [7, 7, 7]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: setattr(p, "tensor_content", b"123"), "content has 3 bytes, its shape needs 4"),
        (lambda p: setattr(p, "dtype", 14), "tensors of type 14 are not supported"),
        (lambda p: p.tensor_shape.dim.add(size=-1), "no definite shape"),
        (lambda p: p.tensor_shape.dim.add(size=2**40), "bytes, more than"),
        (lambda p: p.int_val.append(256) or p.ClearField("tensor_content"), "no uint8"),
        (lambda p: p.ClearField("tensor_content"), "has 0 values, its shape needs 4"),
    ],
)
def test_a_tensor_that_makes_no_sense_is_refused(change, message):
    proto = wire.TensorProto()
    write_tensor(np.zeros(4, np.uint8), proto)
    change(proto)
    with pytest.raises(ValueError, match=message):
        read_tensor(proto)


def test_a_signature_is_fulfilled_by_one_with_sizes_where_it_leaves_them_open():
    explain = SIGNATURES["explain"]
    sized = Signature(
        explain.inputs, explain.outputs | {"heatmap": TensorSpec("float32", (None, 7, 7))}
    )
    assert explain.is_fulfilled_by(sized)
    assert not sized.is_fulfilled_by(explain)
    for wrong in (TensorSpec("float32", (None, 7)), TensorSpec("float64", (None, 7, 7))):
        other = Signature(explain.inputs, explain.outputs | {"heatmap": wrong})
        assert not explain.is_fulfilled_by(other)
    assert not explain.is_fulfilled_by(SIGNATURES["serving_default"])
