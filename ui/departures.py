"""Who asked goes away, stops reading or stops making sense: what nobody waits for ends, its place is free."""

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyio
import h11
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

#: The connection's buffer, some 64 KB, has to become free in so many seconds.
READ_S: Final = 30.0

T = TypeVar("T")


async def run_while_wanted(request: Request, work: Callable[[Callable[[], bool]], T]) -> T:
    """Run work in a thread; it is told when who asked has gone, and then soon ends.

    Args:
        request: its body is read.
        work: is given a function that says whether its answer is still wanted.

    Raises:
        ClientDisconnect: whoever asked has gone.
    """
    gone = threading.Event()

    async def listen() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        answer: Any = None
        error: Exception | None = None
        try:
            answer = await run_in_threadpool(work, lambda: not gone.is_set())
        except Exception as raised:  # outside of the group, which would wrap it
            error = raised
        group.cancel_scope.cancel()
    if gone.is_set():
        raise ClientDisconnect
    if error is not None:
        raise error
    return answer


class BoundedStream(StreamingResponse):
    """A stream that ends when it is not read; what reads slowly holds its place no longer than that."""

    read_s = READ_S

    async def stream_response(self, send: Send) -> None:
        """Send it, or as much as is read in time."""

        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(self.read_s):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            return  # uvicorn closes a connection whose answer was left unfinished


class HttpProtocol(H11Protocol):
    """Uvicorn's, which refuses what is no HTTP by itself, but lets the application answer it once more."""

    def send_400_response(self, msg: str) -> None:
        """Refuse it, end the connection, and tell whoever reads the request that there is no more of it."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # an answer has begun
            self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
