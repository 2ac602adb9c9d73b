"""What the client needs of a way to reach a model server; `grpc_transport` and `rest_transport` are two."""

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from serving.contract import Signature
from serving.errors import (
    DeadlineExceeded,
    ModelNotFound,
    RequestRejected,
    ServerOverloaded,
    ServerUnavailable,
    ServingError,
)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Metadata:
    """What a server says about a version: its number and its signatures by name."""

    version: int
    signatures: dict[str, Signature]


class Transport(Protocol):
    """One connection to one model on one server; safe to use from several threads.

    Every method raises errors of `serving.errors` only, and ends within `timeout_s`.
    """

    def predict(
        self, signature: str, inputs: Arrays, version: int | None, timeout_s: float
    ) -> tuple[Arrays, int]:
        """Call a signature; the outputs, and the version that computed them."""

    def status(self, timeout_s: float) -> dict[int, str]:
        """State by version: `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`."""

    def metadata(self, version: int | None, timeout_s: float) -> Metadata:
        """Signatures of a version, by default the newest."""

    def close(self) -> None:
        """Give the connection back."""


def explained(
    kind: type[ServingError], address: str, model: str, timeout_s: float, details: str
) -> ServingError:
    """An error of a kind, with the sentence that a person should read.

    Args:
        kind: what went wrong.
        address: of the server, as given to the client.
        model: its name.
        timeout_s: that the call was given.
        details: the server's own words; only used where they can be of help.
    """
    if kind is ServerUnavailable:
        return kind(
            f"No model server answers at {address}. Start one with `python -m serving run`, "
            "or give its address with --server."
        )
    if kind is DeadlineExceeded:
        return kind(f"The model server at {address} gave no answer within {timeout_s:g} s.")
    if kind is ServerOverloaded:
        return kind(f"The model server at {address} is busy. Try again in a moment.")
    if kind is ModelNotFound:
        return kind(f"The model server at {address} does not serve this {model}: {details}")
    if kind is RequestRejected:
        return kind(f"The model server refuses the request: {details}")
    return kind(f"The model server at {address} failed: {details}")
