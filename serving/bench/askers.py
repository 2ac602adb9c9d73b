"""Asking during a soak, and telling right answers from wrong ones."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from data.imaging import prepare_scan, read_scan
from serving.bench.load import demand_loopback
from serving.bench.processes import ModelServer
from serving.bench.ways import GrpcExchange, scans_in
from serving.contract import SERVING_DEFAULT
from serving.errors import ServingError
from serving.grpc_transport import GrpcCodec
from serving.transport import Call, Outputs, Server

#: Between the same version in two places.
TOLERANCE: Final = 1e-4
#: The two versions must differ by more for a scan to tell them apart.
_APART: Final = 0.01
_SCANS: Final = 8

#: Version, number of the scan, probability.
Told = tuple[int | None, int, float]
Probabilities = NDArray[np.float32]


class Askers:
    """Clients that ask about several scans in turn, and remember what they were told."""

    def __init__(self, server: ModelServer, model: str, images: NDArray[np.uint8]) -> None:
        self._address = demand_loopback(server.grpc)
        codec = GrpcCodec(Server(server.grpc, model))
        self._calls = [codec.predict(*codec.scans(image[None]), None) for image in images]
        self._all: list[_Asker] = []

    def connect(self) -> "_Asker":
        """One more client."""
        asker = _Asker(self._address, self._calls, first=len(self._all))
        self._all.append(asker)
        return asker

    def told(self) -> Counter[Told]:
        """All answers of all clients, with how often each was given."""
        return sum((asker.told for asker in self._all), Counter[Told]())


class _Asker:
    def __init__(self, address: str, calls: list[Call[Outputs]], first: int) -> None:
        self._exchange = GrpcExchange(address, calls[0])
        self._calls, self._numbers = calls, itertools.count(first)
        self.told = Counter[Told]()

    def send(self) -> None:
        """See `Exchange.send`."""
        number = next(self._numbers) % len(self._calls)
        call = self._calls[number]
        outputs = call.read(self._exchange.ask(call.body))
        self.told[outputs.version, number, float(outputs.arrays["probability"][0])] += 1

    def close(self) -> None:
        """See `Exchange.close`."""
        self._exchange.close()


def telling_scans(
    samples: Path, older: Path, newer: Path
) -> tuple[NDArray[np.uint8], tuple[Probabilities, Probabilities]]:
    """Scans that two versions answer differently, and TensorFlow's own answers of both.

    Returns:
        uint8 `[N, 224, 224, 3]`; for each version P(tumour), float32 `[N]`.

    Raises:
        ServingError: there are none.
    """
    images = np.stack([prepare_scan(read_scan(path)) for path in scans_in(samples)])
    one, other = (_probabilities(path, images) for path in (older, newer))
    apart = np.flatnonzero(np.abs(one - other) > _APART)[:_SCANS]
    if not len(apart):
        raise ServingError(f"{older} and {newer} answer alike: a mix of them could not be told.")
    return images[apart], (one[apart], other[apart])


def is_right(told: Told, by_version: dict[int, Probabilities]) -> bool:
    """Whether an answer is that of the version it names; `by_version` holds theirs by scan."""
    version, number, probability = told
    if version not in by_version:
        return False
    return abs(probability - float(by_version[version][number])) <= TOLERANCE


def _probabilities(path: Path, images: NDArray[np.uint8]) -> Probabilities:
    signature = tf.saved_model.load(str(path)).signatures[SERVING_DEFAULT]
    answers = [
        signature(images=tf.constant(image[None]))["probability"].numpy() for image in images
    ]
    return np.concatenate(answers)
