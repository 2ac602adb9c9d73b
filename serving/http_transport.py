"""Carrying REST calls over HTTP/1.1 connections that stay open.

`httpcore` is what httpx is built on: pools of connections, blocking and awaited, and nothing else. No
proxies, credentials or redirects come from the environment, which must not see scans on their way.
"""

import asyncio
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from socket import SOCK_STREAM, getaddrinfo, socket
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from serving.errors import ContractError, DeadlineExceeded, ServerUnavailable, ServingError
from serving.rest_transport import error_of
from serving.transport import Call, Deadline, Server

#: As for gRPC.
_MAX_ANSWER_BYTES: Final = 64 * 2**20
_CONNECTIONS: Final = 32
_HEADERS: Final = {"Content-Type": "application/json"}
#: A connection that could not be made or broke, or what came over it was no HTTP.
_BROKEN: Final = (httpcore.NetworkError, httpcore.ProtocolError)
#: Of the call that this thread makes.
_deadline: ContextVar[Deadline] = ContextVar("deadline")


class HttpSender:
    """A pool of connections; see `serving.transport.Sender`."""

    def __init__(self, server: Server) -> None:
        self._server, self._base = server, _base(server.address)
        self._pool = httpcore.ConnectionPool(
            _trusted(server), max_connections=_CONNECTIONS, network_backend=_TimedBackend()
        )

    def send(self, call: Call[Any], deadline: Deadline) -> bytes:
        """See `Sender.send`."""
        token = _deadline.set(deadline)
        try:
            with self._pool.stream(**_request(self._base, call, deadline)) as response:
                body = bytearray()
                for chunk in response.iter_stream():
                    _append(body, chunk)
        except (OverflowError, httpcore.TimeoutException, *_BROKEN) as error:
            raise _explained(self._server, error, deadline) from error
        finally:
            _deadline.reset(token)
        return _checked(self._server, response.status, bytes(body), deadline)

    def close(self) -> None:
        """See `Sender.close`."""
        self._pool.close()


class AsyncHttpSender:
    """A pool of awaited connections; see `serving.transport.AsyncSender`."""

    def __init__(self, server: Server) -> None:
        self._server, self._base = server, _base(server.address)
        self._pool = httpcore.AsyncConnectionPool(_trusted(server), max_connections=_CONNECTIONS)

    async def send(self, call: Call[Any], deadline: Deadline) -> bytes:
        """See `AsyncSender.send`."""
        try:
            async with asyncio.timeout(deadline.left()):
                request = _request(self._base, call, deadline)
                async with self._pool.stream(**request) as response:
                    body = bytearray()
                    async for chunk in response.aiter_stream():
                        _append(body, chunk)
        except (OverflowError, TimeoutError, httpcore.TimeoutException, *_BROKEN) as error:
            raise _explained(self._server, error, deadline) from error
        return _checked(self._server, response.status, bytes(body), deadline)

    async def close(self) -> None:
        """See `AsyncSender.close`."""
        await self._pool.aclose()


class _TimedBackend(httpcore.SyncBackend):
    """Connections on which every wait ends with the call's deadline.

    The timeouts of httpcore start anew with every few bytes, so that a server which drips could hold a
    caller for hours.
    """

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = getaddrinfo(host, port, type=SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure = httpcore.ConnectError(f"{host} has no address")
        for *_, (address, *_) in found:  # one by one, or each would get the whole time
            left = _left(httpcore.ConnectTimeout)
            try:
                stream = super().connect_tcp(
                    str(address), port, left, local_address, socket_options
                )
                return _TimedStream(stream)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._socket: socket = stream.get_extra_info("socket")

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            self._socket.settimeout(_left(httpcore.WriteTimeout))
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(kind: type[httpcore.TimeoutException]) -> float:
    seconds = _deadline.get().left()
    if not seconds:  # would mean "do not wait" to a socket
        raise kind
    return seconds


def _base(address: str) -> str:
    parts = urlsplit(address)
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{address!r} is no address of a model server; give http://HOST:PORT.")
    _ = parts.port  # raises ValueError if it is none
    return address.rstrip("/")


def _trusted(server: Server) -> ssl.SSLContext | None:
    """Whom to trust over TLS; None for those that the system trusts."""
    if server.authorities is None:
        return None
    return ssl.create_default_context(cadata=server.authorities)


def _request(base: str, call: Call[Any], deadline: Deadline) -> dict[str, Any]:
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), deadline.left())
    return {
        "method": "GET" if call.body is None else "POST",
        "url": base + call.path,
        "headers": {} if call.body is None else _HEADERS,
        "content": call.body,
        "extensions": {"timeout": timeouts},
    }


def _append(body: bytearray, chunk: bytes) -> None:
    body += chunk
    if len(body) > _MAX_ANSWER_BYTES:
        raise OverflowError("its answer is larger than any answer should be")


def _explained(server: Server, error: Exception, deadline: Deadline) -> ServingError:
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return server.error(DeadlineExceeded, deadline.timeout_s)
    if isinstance(error, httpcore.ConnectError):
        return server.not_secured(str(error)) or server.error(ServerUnavailable, deadline.timeout_s)
    # What httpcore and h11 say of a connection that was closed in the middle.
    closed = "disconnected" in str(error) or "closed connection" in str(error)
    if isinstance(error, httpcore.NetworkError) or closed:
        return server.error(ServerUnavailable, deadline.timeout_s, "the connection broke")
    if isinstance(error, httpcore.ProtocolError):
        return server.error(ContractError, deadline.timeout_s, "what it sent is no valid HTTP")
    return server.error(ContractError, deadline.timeout_s, str(error))


def _checked(server: Server, status: int, body: bytes, deadline: Deadline) -> bytes:
    if 200 <= status < 300:
        return body
    kind, details = error_of(status, body)
    raise server.error(kind, deadline.timeout_s, details)
