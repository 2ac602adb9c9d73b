"""The scratch process: loads a candidate as a server would, and says what is wrong with it.

    python -m serving.release.scratch FOLDER

A process of its own, since a broken graph can crash TensorFlow or eat all memory. It ends with the
publisher's verdict on its standard output: one line of JSON, `{"error": …}` or what was found.
"""

import json
import resource
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from serving.contract import SIGNATURES, Signature, TensorSpec
from serving.release.answers import AnswerError, Arrays, check_answers
from serving.versions import SAVED_MODEL

WARMUP_FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"
SERVING_TAG: Final = "serve"


class CandidateError(Exception):
    """The candidate must not be published; the text says why."""


class Candidate:
    """A SavedModel in memory."""

    def __init__(self, folder: Path) -> None:
        """Load it.

        Raises:
            CandidateError: TensorFlow cannot.
        """
        try:
            message = saved_model_pb2.SavedModel.FromString((folder / SAVED_MODEL).read_bytes())
            graphs = [g for g in message.meta_graphs if SERVING_TAG in g.meta_info_def.tags]
            self.signatures = _signatures(graphs[0].signature_def) if graphs else {}
            self._functions = tf.saved_model.load(str(folder), tags=[SERVING_TAG]).signatures
        except Exception as error:  # whatever TensorFlow finds wrong
            raise CandidateError(f"TensorFlow cannot load it: {_one_line(error)}") from error

    def __call__(self, signature: str, inputs: Arrays) -> Arrays:
        """Run a signature."""
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        answer = self._functions[signature](**tensors)
        return {name: tensor.numpy() for name, tensor in answer.items()}


def examine(folder: Path) -> dict[str, Any]:
    """Check signatures, answers and warm-up of a candidate.

    Returns:
        Numbers of `signatures`, `images` and `warmup` records that were checked, and the process's
        peak memory `peak_mb`.

    Raises:
        CandidateError: it must not be published.
    """
    candidate = Candidate(folder)
    for name, agreed in SIGNATURES.items():
        found = candidate.signatures.get(name)
        if found is None:
            raise CandidateError(f"the signature {name} is missing")
        if not agreed.is_fulfilled_by(found):
            raise CandidateError(
                f"the signature {name} breaks the contract: {_breach(agreed, found)}"
            )
    try:
        images = check_answers(candidate)
    except AnswerError as error:
        raise CandidateError(str(error)) from error
    except Exception as error:
        raise CandidateError(f"it fails when asked: {_one_line(error)}") from error
    return {
        "signatures": len(SIGNATURES),
        "images": images,
        "warmup": _replay(candidate, folder / WARMUP_FILE),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _replay(candidate: Candidate, path: Path) -> int:
    """Run the warm-up records, as a server does before a version becomes AVAILABLE; how many."""
    if not path.is_file():
        raise CandidateError(f"there is no {path.name}: its first requests would be slow")
    replayed: Counter[str] = Counter()
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if not log.HasField("predict_log"):
                raise CandidateError("a warm-up record is no Predict request")
            request = log.predict_log.request
            inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
            name = request.model_spec.signature_name or "serving_default"
            candidate(name, inputs)
            replayed[name] += 1
    except CandidateError:
        raise
    except Exception as error:
        raise CandidateError(
            f"warm-up record {replayed.total() + 1} fails: {_one_line(error)}"
        ) from error
    cold = [name for name in SIGNATURES if not replayed[name]]
    if cold:
        raise CandidateError(f"no warm-up record for the signature {cold[0]}")
    return replayed.total()


def _signatures(definitions: Any) -> dict[str, Signature]:
    return {
        name: Signature(_specs(one.inputs), _specs(one.outputs))
        for name, one in definitions.items()
        if not name.startswith("__")
    }


def _specs(infos: Any) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(
            tf.DType(info.dtype).name,
            tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }


def _breach(agreed: Signature, found: Signature) -> str:
    """The first tensor in which two signatures differ."""
    for kind, ours, theirs in (
        ("input", agreed.inputs, found.inputs),
        ("output", agreed.outputs, found.outputs),
    ):
        for name in sorted(ours.keys() | theirs.keys()):
            if name not in theirs:
                return f"{kind} {name} is missing"
            if name not in ours:
                return f"{kind} {name} is not part of it"
            if (kind == "input" and ours[name] != theirs[name]) or not ours[name].admits(
                theirs[name]
            ):
                return f"{kind} {name} is {theirs[name]}, not {ours[name]}"
    return "in nothing that can be named"


def _one_line(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:300]


def main(folder: str, limit_s: str) -> None:
    """Print the verdict on a folder; give up after a number of seconds, also if the publisher died."""
    # The default action of SIGALRM ends the process wherever it hangs, in C++ too.
    signal.alarm(int(limit_s))
    # Where memory runs out, the kernel ends this process first and not a server beside it.
    with suppress(OSError):  # there is no such thing but on Linux
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        verdict = examine(Path(folder))
    except CandidateError as error:
        verdict = {"error": str(error)}
    sys.stdout.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
