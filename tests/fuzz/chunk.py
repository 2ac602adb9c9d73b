"""One process of coverage-guided fuzzing: `python -m tests.fuzz.chunk TARGET [libFuzzer's options]`.

libFuzzer ends its process, whatever it finds; `tests.fuzz` runs one after another.
"""

import random
import sys
import warnings

import atheris

from tests.fuzz.mutations import json_mutated, repaired

#: Ours, and the libraries that parse for us in Python; what they branch on guides the mutations.
_FOLLOWED = [
    "data", "serving", "ui", "tests.fuzz.targets", "pydicom", "PIL.PngImagePlugin", "PIL.JpegImagePlugin",
    "google.protobuf.text_format", "python_multipart", "starlette.formparsers",
]  # fmt: skip
with atheris.instrument_imports(include=_FOLLOWED):
    from tests.fuzz.seeds import seeds_of
    from tests.fuzz.targets import TARGETS

    # Much is imported by need alone; what comes after this block is not followed, and its import takes
    # longer than an input may.
    target = TARGETS[sys.argv[1]]
    for seed in [b"", *seeds_of(sys.argv[1])]:
        target(seed)


def mutate(payload: bytes, max_size: int, seed: int) -> bytes:
    """A mutation by libFuzzer, or one that knows the format, as the seed has it."""
    chance = random.Random(seed)  # noqa: S311
    if payload.startswith((b"{", b"[")) and chance.random() < 0.5:
        return json_mutated(payload, chance)[:max_size]
    mutated = bytes(atheris.Mutate(payload, max_size))
    return repaired(mutated) if chance.random() < 0.5 else mutated


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", RuntimeWarning)  # NumPy's, of arithmetic that we did not foresee
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target, custom_mutator=mutate)
    atheris.Fuzz()
