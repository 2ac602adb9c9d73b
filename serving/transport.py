"""Between the client's logic and the wire: calls as plain data, and what can make and send them.

A codec (`grpc_transport`, `rest_transport`) turns questions into calls and bytes into answers, without
any input or output. A sender carries a call's bytes to the server and brings others back, blocking or
awaited. So logic and codecs are written once, for both clients.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving.contract import Signature
from serving.errors import (
    CallCancelled,
    ContractError,
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)
from serving.tensors import Arrays

T = TypeVar("T")
#: How an address says that gRPC is to be encrypted, as `https://` does for REST.
GRPC_TLS: Final = "grpcs://"
#: Why a connection cannot be secured, by the words in which gRPC and Python tell it. None of it mends
#: itself, so that it is no ServerUnavailable.
_TLS_PROBLEMS: Final = {
    "Hostname Verification Check failed": "its certificate is for another host",
    "call host does not match SSL server name": "its certificate is for another host",
    "mismatch, certificate is not valid for": "its certificate is for another host",
    "CERTIFICATE_VERIFY_FAILED": (
        "its certificate is from nobody that we trust. Name its authority with --ca-certificate"
    ),
    "WRONG_VERSION_NUMBER": "it does not speak TLS there",
}
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
    """Whom a client asks.

    Attributes:
        address: as it was given.
        model: its name there.
        authorities: PEM of the certificates to trust over TLS; None for the system's.
    """

    address: str
    model: str
    authorities: str | None = None

    def not_secured(self, details: str) -> ContractError | None:
        """The error for a connection that failed over TLS, if `details` tell of that."""
        for words, problem in _TLS_PROBLEMS.items():
            if words in details:
                return ContractError(
                    f"The model server at {self.address} cannot be used: {problem}."
                )
        return None

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
