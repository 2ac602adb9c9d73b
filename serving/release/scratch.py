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
from typing import Any

import tensorflow as tf

from serving.contract import SIGNATURES, Signature
from serving.release.answers import AnswerError, Arrays, check_answers
from serving.saved_model import SERVING_TAG, WARMUP_FILE, signature_defs, warmup_requests
from serving.tensors import read_signatures, read_tensor


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
            self.signatures = read_signatures(signature_defs(folder))
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
        "warmup": _replay(candidate, folder),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _replay(candidate: Candidate, folder: Path) -> int:
    """Run the warm-up records, as a server does before a version becomes AVAILABLE; how many."""
    if not (folder / WARMUP_FILE).is_file():
        raise CandidateError(f"there is no {WARMUP_FILE.name}: its first requests would be slow")
    replayed: Counter[str] = Counter()
    try:
        for request in warmup_requests(folder):
            inputs = {name: read_tensor(proto) for name, proto in request.inputs.items()}
            name = request.model_spec.signature_name
            candidate(name, inputs)
            replayed[name] += 1
    except Exception as error:
        raise CandidateError(
            f"warm-up record {replayed.total() + 1} fails: {_one_line(error)}"
        ) from error
    cold = [name for name in SIGNATURES if not replayed[name]]
    if cold:
        raise CandidateError(f"no warm-up record for the signature {cold[0]}")
    return replayed.total()


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
    signal.setitimer(signal.ITIMER_REAL, float(limit_s))
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
