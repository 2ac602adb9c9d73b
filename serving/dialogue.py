"""The client's logic: which calls answer a question, in what order, and what happens if one fails.

Written once for both clients, as generators without input or output: they yield the calls to be sent
and the pauses to be made, and are sent back the bytes of the answers (`serving.client` drives them).
"""

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.answers import (
    Answer,
    Prediction,
    check_contract,
    check_images,
    check_outputs,
    read_card,
    read_predictions,
)
from serving.contract import CARD, EXPLAIN
from serving.errors import (
    CallCancelled,
    ContractError,
    ModelNotFound,
    ServerUnavailable,
    ServingError,
)
from serving.tensors import Arrays
from serving.transport import Call, Choice, Codec, Metadata, Outputs, T

#: Images in one request: the largest batch that versions are warmed up for, 5 MB over gRPC.
MAX_IMAGES: Final = 32
#: Before the first retry; doubled before each of the next.
FIRST_PAUSE_S: Final = 0.1
#: For how long "the newest" means the same over REST, about as often as servers look for versions.
NEWEST_FOR_S: Final = 1.0
#: How often one question is begun anew because its version went away.
_MAX_SWAPS: Final = 3
#: Versions come and go for as long as a client lives.
CARDS_KEPT: Final = 8


@dataclass(frozen=True)
class Pause:
    """A wait, unless the deadline comes first; the driver sends back whether there was time for it."""

    seconds: float


Dialogue = Generator[Call[Any] | Pause, Any, T]


class _VersionGoneError(Exception):
    """A version that the server itself had named no longer answers."""

    def __init__(self, error: ServingError) -> None:
        super().__init__()
        self.error = error


class Dialogues:
    """What can be asked of one model, and what is remembered of its versions; safe between threads."""

    def __init__(self, codec: Codec, retries: int) -> None:
        self._codec = codec
        self._retries = retries
        # Threads may write these at once; each entry is right by itself, whoever wrote it last.
        self._checked: set[int] = set()
        self._newest: dict[Choice, tuple[int, float]] = {}
        self._cards: dict[int, dict[str, Any]] = {}

    def predict(self, images: NDArray[np.uint8], choice: Choice) -> Dialogue[Answer]:
        """Classify scans."""
        check_images(images)
        parts = [self._codec.scans(part) for part in _parts(images)]
        return (yield from self._classify(parts[0][0], [inputs for _, inputs in parts], choice))

    def explain(self, images: NDArray[np.uint8], choice: Choice) -> Dialogue[Answer]:
        """Classify scans and say where the evidence lies."""
        check_images(images)
        parts: list[Arrays] = [{"images": part} for part in _parts(images)]
        return (yield from self._classify(EXPLAIN, parts, choice))

    def card(self, choice: Choice) -> Dialogue[dict[str, Any]]:
        """The model card of a version, remembered with those of the latest few."""
        if isinstance(choice, int) and choice in self._cards:
            return self._cards[choice]
        inputs: Arrays = {"format": np.array([b"json"], object)}
        (outputs,), version = yield from self._ask(CARD, [inputs], choice)
        card = self._cards[version] = read_card(outputs)
        for other in list(self._cards)[:-CARDS_KEPT]:
            self._cards.pop(other, None)
        return card

    def metadata(self, choice: Choice) -> Dialogue[Metadata]:
        """Signatures of a version, whether they fulfil the contract or not."""
        return (yield from self._sent(self._codec.metadata(choice)))

    def status(self) -> Dialogue[dict[int, str]]:
        """State by version."""
        return (yield from self._sent(self._codec.status()))

    def _classify(self, signature: str, parts: list[Arrays], choice: Choice) -> Dialogue[Answer]:
        begin = perf_counter()
        outputs, version = yield from self._ask(signature, parts, choice)
        predictions: list[Prediction] = []
        for part in outputs:
            predictions += read_predictions(part)
        return Answer(tuple(predictions), version, perf_counter() - begin)

    def _ask(
        self, signature: str, parts: list[Arrays], choice: Choice
    ) -> Dialogue[tuple[list[Arrays], int]]:
        """Outputs for each part, all by one version; a swap in the middle begins anew."""
        for _ in range(_MAX_SWAPS):
            try:
                return (yield from self._ask_one_version(signature, parts, choice))
            except _VersionGoneError as gone:
                self._newest.pop(choice, None)
                error = gone.error
        raise error

    def _ask_one_version(
        self, signature: str, parts: list[Arrays], choice: Choice
    ) -> Dialogue[tuple[list[Arrays], int]]:
        target = yield from self._target(choice)
        answers: list[Arrays] = []
        try:
            for inputs in parts:
                call = self._codec.predict(signature, inputs, target)
                outputs = yield from self._sent(call)
                version = target = _answered(outputs, target)
                yield from self._check(version)
                check_outputs(signature, outputs.arrays, len(next(iter(inputs.values()))))
                answers.append(outputs.arrays)
        except ModelNotFound as error:
            if target == choice:
                raise
            raise _VersionGoneError(error) from error
        return answers, version

    def _target(self, choice: Choice) -> Dialogue[Choice]:
        """What to name in a request: the choice itself wherever the answer will tell the version.

        Over REST it does not, so the version that a choice means is asked for first, and remembered for
        a moment. The first time it is asked for in any case: its signatures come with it.
        """
        if isinstance(choice, int):
            yield from self._check(choice)
            return choice
        if self._codec.names_version and self._checked:
            return choice
        version, since = self._newest.get(choice, (0, 0.0))
        now = monotonic()
        if not version or now - since > NEWEST_FOR_S:
            version = self._accepted((yield from self.metadata(choice)))
            self._newest[choice] = version, now
        return version

    def _check(self, version: int) -> Dialogue[None]:
        """The contract, on the first use of a version."""
        if version not in self._checked:
            found = self._accepted((yield from self.metadata(version)))
            if found != version:
                raise ContractError(f"The server describes version {found} for {version}.")

    def _accepted(self, metadata: Metadata) -> int:
        if metadata.version < 1:
            raise ContractError("The server does not say which version it describes.")
        if metadata.version not in self._checked:
            check_contract(metadata)
            self._checked.add(metadata.version)
        return metadata.version

    def _sent(self, call: Call[T]) -> Dialogue[T]:
        """Send a call; again after a pause if the server is unavailable, and for no other reason."""
        for seconds in self._pauses():
            try:
                return call.read((yield call))
            except CallCancelled:
                raise
            except ServerUnavailable:
                if not (yield Pause(seconds)):
                    raise
        return call.read((yield call))

    def _pauses(self) -> Iterator[float]:
        for i in range(self._retries):
            # Clients that failed at one moment must not come back at one moment.
            yield FIRST_PAUSE_S * 2**i * random.uniform(0.5, 1.5)  # noqa: S311 no secret


def _answered(outputs: Outputs, target: Choice) -> int:
    version = target if outputs.version is None else outputs.version
    if not isinstance(version, int) or (isinstance(target, int) and target != version):
        raise ContractError("Another version answered than the one that was asked.")
    return version


def _parts(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [images[i : i + MAX_IMAGES] for i in range(0, len(images), MAX_IMAGES)]
