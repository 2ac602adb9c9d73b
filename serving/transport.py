"""Between the client's logic and the wire: calls as plain data, and what can make and send them.

A codec (`grpc_transport`, `rest_transport`) turns questions into calls and bytes into answers, without
any input or output. A sender carries a call's bytes to the server and brings others back, blocking or
awaited. So logic and codecs are written once, for both clients.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving.contract import Signature
from serving.errors import (
    CallCancelled,
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]
#: Which version is to answer: a number, a label such as "stable", or None for the newest.
Choice = int | str | None


@dataclass(frozen=True)
class Metadata:
    """What a server says about a version: its number and its signatures by name."""

    version: int
    signatures: dict[str, Signature]


@dataclass(frozen=True)
class Outputs:
    """Arrays by output name; and the version that computed them, where the answer tells."""

    arrays: Arrays
    version: int | None


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request that is ready to be sent.

    Attributes:
        path: of the gRPC method, or of the URL.
        body: the message; over REST, None makes it a GET.
        read: the bytes of a good answer to what they say; raises ContractError.
    """

    path: str
    body: bytes | None
    read: Callable[[bytes], T]


class Deadline:
    """When a client's call must be over, whatever number of requests it takes."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s

    def left(self) -> float:
        """Seconds, never less than 0."""
        return max(0.0, self._end - time.monotonic())


class Codec(Protocol):
    """One wire format: the calls that ask a model something."""

    #: Whether answers tell the version that made them; if not, only one asked for by number is sure.
    names_version: bool

    def scans(self, images: NDArray[np.uint8]) -> tuple[str, Arrays]:
        """The signature that classifies scans in this format at the least cost, and its inputs."""

    def predict(self, signature: str, inputs: Arrays, choice: Choice) -> Call[Outputs]:
        """Run a signature."""

    def metadata(self, choice: Choice) -> Call[Metadata]:
        """Number and signatures of a version."""

    def status(self) -> Call[dict[int, str]]:
        """State by version: `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`."""


class Sender(Protocol):
    """A connection that is kept open; safe to use from several threads."""

    def send(self, call: Call[Any], deadline: Deadline) -> bytes:
        """The bytes of a good answer, in time; raises errors of `serving.errors` only."""

    def close(self) -> None:
        """Give the connection back."""


class AsyncSender(Protocol):
    """The same, awaited; belongs to the event loop of its first call."""

    async def send(self, call: Call[Any], deadline: Deadline) -> bytes:
        """See `Sender.send`."""

    async def close(self) -> None:
        """See `Sender.close`."""


@dataclass(frozen=True)
class Server:
    """Whom a client asks: an address, as it was given, and the name of a model there."""

    address: str
    model: str

    def error(self, kind: type[ServingError], timeout_s: float, details: str = "") -> ServingError:
        """An error of a kind, with the sentence that a person should read.

        Args:
            kind: what went wrong.
            timeout_s: that the call was given.
            details: the server's own words; only used where they can be of help.
        """
        place = f"The model server at {self.address}"
        if "servable version label" in details:  # an invalid argument, for TensorFlow Serving
            kind = ModelNotFound
        if kind is ServerUnavailable and details:
            return kind(f"{place} cannot answer now: {details}")
        if kind is ServerUnavailable:
            return kind(
                f"No model server answers at {self.address}. Start one with `python -m serving run`, "
                "or give its address with --server."
            )
        if kind is CallCancelled:
            return kind(f"The call to the model server at {self.address} was given up.")
        if kind is DeadlineExceeded:
            return kind(f"{place} gave no answer within {timeout_s:g} s.")
        if kind is ServerOverloaded:
            return kind(f"{place} is busy. Try again in a moment.")
        if kind is ModelNotFound:
            return kind(f"{place} does not serve this {self.model}: {details}")
        if kind is RequestRejected:
            return kind(f"The model server refuses the request: {details}")
        return kind(f"{place} failed: {details}")
