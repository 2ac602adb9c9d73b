"""What a SavedModel on disk says: its signatures, and the requests that it is to be warmed up with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.versions import SAVED_MODEL

#: Of the graph that serves.
SERVING_TAG: Final = "serve"
DEFAULT_SIGNATURE: Final = "serving_default"
#: Where TensorFlow Serving looks for them, below a version.
WARMUP_FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"


def signature_defs(version: Path) -> dict[str, Any]:
    """SignatureDef by name, of the graph that serves.

    The file is parsed for them alone; copies let go of the message, which holds all the weights.

    Raises:
        ValueError: there is no such graph.
        DecodeError: of protobuf, the file is no SavedModel.
        OSError: it cannot be read.
    """
    message = saved_model_pb2.SavedModel.FromString((version / SAVED_MODEL).read_bytes())
    graphs = [graph for graph in message.meta_graphs if SERVING_TAG in graph.meta_info_def.tags]
    if not graphs:
        raise ValueError(f"the SavedModel has no graph tagged {SERVING_TAG!r}")
    return {
        name: meta_graph_pb2.SignatureDef.FromString(one.SerializeToString())
        for name, one in graphs[0].signature_def.items()
    }


def warmup_requests(version: Path) -> Iterator[predict_pb2.PredictRequest]:
    """The recorded Predict requests, none without a file; those for `serving_default` name it.

    Raises:
        ValueError: a record is of another kind.
        OpError: of TensorFlow, the file is damaged.
    """
    path = version / WARMUP_FILE
    if not path.exists():
        return
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") != "predict_log":
            raise ValueError(f"Warm-up of kind {log.WhichOneof('log_type')} is not replayed")
        request = log.predict_log.request
        request.model_spec.signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        yield request
