"""The clients of a model server: what the page, the command line and the tests use.

    with Client("127.0.0.1:8500") as client:
        answer = client.predict(images)
        print(answer.version, answer.predictions[0].probability)

    async with AsyncClient("127.0.0.1:8500") as client:
        answer = await client.predict(images)

They speak gRPC and REST, import no TensorFlow, give every call a deadline, and check every version and
every answer against the contract, so that a broken server yields an error and never a diagnosis.
"""

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from serving.answers import Answer, Prediction, Thresholds, read_thresholds
from serving.contract import MODEL_NAME
from serving.dialogue import Dialogue, Dialogues, Pause
from serving.errors import ServingError
from serving.grpc_transport import AsyncGrpcSender, GrpcCodec, GrpcSender
from serving.http_transport import AsyncHttpSender, HttpSender
from serving.rest_transport import RestCodec
from serving.transport import (
    GRPC_TLS,
    AsyncSender,
    Choice,
    Deadline,
    Metadata,
    Sender,
    Server,
    T,
)

__all__ = ["Answer", "AsyncClient", "Client", "Metadata", "Prediction", "Thresholds"]

DEFAULT_ADDRESS: Final = "127.0.0.1:8500"
DEFAULT_TIMEOUT_S: Final = 10.0
DEFAULT_RETRIES: Final = 3


class _Base(ABC):
    """What both clients know."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        model: str = MODEL_NAME,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = DEFAULT_RETRIES,
        ca_certificate: Path | None = None,
    ) -> None:
        """Prepare to call; nothing is sent yet.

        Args:
            address: `HOST:PORT` for gRPC, `http://HOST:PORT` for REST; with TLS `grpcs://HOST:PORT` and
                `https://HOST:PORT`.
            model: its name on the server.
            timeout_s: longest wait for an answer, in seconds, unless a call says otherwise.
            retries: how often a request is sent again while the server is unavailable, after growing,
                jittered pauses and within the time limit; 0 for never.
            ca_certificate: PEM file of the authorities to trust over TLS, or of the server's own
                certificate; by default those that the system trusts.

        Raises:
            ValueError: the address is none of these, or the file holds no certificate.
            OSError: the file cannot be read.
        """
        rest = address.startswith(("http://", "https://"))
        place = address.removeprefix(GRPC_TLS)
        host, _, port = place.rpartition(":")
        if not rest and ("://" in place or not host or not port.isdigit()):
            raise ValueError(
                f"{address!r} is no address of a model server. "
                "Give HOST:PORT for gRPC or http://HOST:PORT for REST."
            )
        authorities = None if ca_certificate is None else _authorities(ca_certificate, address)
        server = Server(address, model, authorities)
        self._ask = Dialogues(RestCodec(server) if rest else GrpcCodec(server), retries)
        self._timeout_s = timeout_s
        self._open(server, rest=rest)

    @abstractmethod
    def _open(self, server: Server, *, rest: bool) -> None:
        """Make the sender."""

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline(self._timeout_s if timeout_s is None else timeout_s)


class Client(_Base):
    """A connection to one model on one server, kept open; safe to share between threads."""

    def _open(self, server: Server, *, rest: bool) -> None:
        self._sender: Sender = HttpSender(server) if rest else GrpcSender(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._sender.close()

    def predict(
        self,
        images: NDArray[np.uint8],
        *,
        version: int | None = None,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Classify scans, all of them by one version, in requests of at most 32.

        Args:
            images: uint8 `[N, 224, 224, 3]`, RGB, letterboxed (see `data.imaging.prepare_scan`).
            version: ask this one; by default the newest available.
            version_label: ask the version that bears this label, for example "stable".
            timeout_s: longest wait in seconds, over all requests and retries.

        Raises:
            ValueError: `images` has another shape or type, or both a version and a label are given.
            ServingError: see `serving.errors`.
        """
        dialogue = self._ask.predict(images, _choice(version, version_label))
        return self._run(dialogue, timeout_s)

    def explain(
        self,
        images: NDArray[np.uint8],
        *,
        version: int | None = None,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Classify scans and say where the evidence lies; arguments and errors as for `predict`.

        Over REST each image is about 0.5 MB of JSON: prefer gRPC.
        """
        dialogue = self._ask.explain(images, _choice(version, version_label))
        return self._run(dialogue, timeout_s)

    def card(
        self,
        version: int | None = None,
        *,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """The model card of a version, by default the newest; the latest few are remembered.

        Raises:
            ServingError: see `serving.errors`.
        """
        return self._run(self._ask.card(_choice(version, version_label)), timeout_s)

    def thresholds(
        self,
        version: int | None = None,
        *,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Thresholds:
        """The operating points of a version, by default the newest."""
        card = self.card(version, version_label=version_label, timeout_s=timeout_s)
        return read_thresholds(card)

    def status(self, *, timeout_s: float | None = None) -> dict[int, str]:
        """State by version, as the server names it: `AVAILABLE` answers."""
        return self._run(self._ask.status(), timeout_s)

    def metadata(
        self,
        version: int | None = None,
        *,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Metadata:
        """Signatures and tensors of a version, by default the newest."""
        return self._run(self._ask.metadata(_choice(version, version_label)), timeout_s)

    def _run(self, dialogue: Dialogue[T], timeout_s: float | None) -> T:
        """Drive a dialogue to its end. `AsyncClient._run` is its twin, line by line."""
        deadline = self._deadline(timeout_s)
        resume = partial(next, dialogue)
        while True:
            try:
                step = resume()
            except StopIteration as end:
                return end.value
            try:
                if isinstance(step, Pause):
                    if fits := step.seconds < deadline.left():
                        time.sleep(step.seconds)
                    resume = partial(dialogue.send, fits)
                else:
                    resume = partial(dialogue.send, self._sender.send(step, deadline))
            except ServingError as error:
                resume = partial(dialogue.throw, error)


class AsyncClient(_Base):
    """The same, awaited; belongs to the event loop of its first call, whose tasks may share it."""

    def _open(self, server: Server, *, rest: bool) -> None:
        self._sender: AsyncSender = AsyncHttpSender(server) if rest else AsyncGrpcSender(server)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Client.close`."""
        await self._sender.close()

    async def predict(
        self,
        images: NDArray[np.uint8],
        *,
        version: int | None = None,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """See `Client.predict`."""
        dialogue = self._ask.predict(images, _choice(version, version_label))
        return await self._run(dialogue, timeout_s)

    async def explain(
        self,
        images: NDArray[np.uint8],
        *,
        version: int | None = None,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """See `Client.explain`."""
        dialogue = self._ask.explain(images, _choice(version, version_label))
        return await self._run(dialogue, timeout_s)

    async def card(
        self,
        version: int | None = None,
        *,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """See `Client.card`."""
        return await self._run(self._ask.card(_choice(version, version_label)), timeout_s)

    async def thresholds(
        self,
        version: int | None = None,
        *,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Thresholds:
        """See `Client.thresholds`."""
        card = await self.card(version, version_label=version_label, timeout_s=timeout_s)
        return read_thresholds(card)

    async def status(self, *, timeout_s: float | None = None) -> dict[int, str]:
        """See `Client.status`."""
        return await self._run(self._ask.status(), timeout_s)

    async def metadata(
        self,
        version: int | None = None,
        *,
        version_label: str | None = None,
        timeout_s: float | None = None,
    ) -> Metadata:
        """See `Client.metadata`."""
        return await self._run(self._ask.metadata(_choice(version, version_label)), timeout_s)

    async def _run(self, dialogue: Dialogue[T], timeout_s: float | None) -> T:
        deadline = self._deadline(timeout_s)
        resume = partial(next, dialogue)
        while True:
            try:
                step = resume()
            except StopIteration as end:
                return end.value
            try:
                if isinstance(step, Pause):
                    if fits := step.seconds < deadline.left():
                        await asyncio.sleep(step.seconds)
                    resume = partial(dialogue.send, fits)
                else:
                    resume = partial(dialogue.send, await self._sender.send(step, deadline))
            except ServingError as error:
                resume = partial(dialogue.throw, error)


def _authorities(file: Path, address: str) -> str:
    if not address.startswith((GRPC_TLS, "https://")):
        raise ValueError(
            f"A CA certificate is of no use to {address}, which is not encrypted. "
            "Give grpcs://HOST:PORT for gRPC or https://HOST:PORT for REST."
        )
    text = file.read_bytes().decode("ascii", "ignore")  # comments may be in any encoding
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"{file} holds no certificate in PEM format.") from error
    return text


def _choice(version: int | None, version_label: str | None) -> Choice:
    if version is not None and version_label is not None:
        raise ValueError("Give a version or a version_label, not both.")
    if version_label == "":
        raise ValueError("version_label must not be empty.")
    return version if version_label is None else version_label
