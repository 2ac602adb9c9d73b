"""How much work is taken on at once: analyses that run, analyses that wait, bytes that are held."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.requests import ClientDisconnect, Request

from ui.failures import busy


class Admission:
    """At most so many analyses run and so many more wait for their turn; the rest are turned away."""

    def __init__(self, running: int, waiting: int) -> None:
        """Open the doors.

        Args:
            running: analyses at once, at least 1.
            waiting: how many more may wait.
        """
        self._places = anyio.Semaphore(running)
        self._most_waiting = waiting
        self.running = 0
        self.waiting = 0

    async def turn(self, request: Request) -> AsyncIterator[None]:
        """A dependency of routes: their turn comes before they run and lasts until the answer is sent.

        Raises:
            AnalysisError: 503, too many wait already.
            ClientDisconnect: who asked has gone while waiting.
        """
        async with self.place(request):
            yield

    @asynccontextmanager
    async def place(self, request: Request | None = None) -> AsyncIterator[None]:
        """Wait for a place and hold it; errors as for `turn`.

        Args:
            request: its body is read; waiting ends when its sender goes away.
        """
        await self._wait(request)
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._places.release()

    async def _wait(self, request: Request | None) -> None:
        try:
            self._places.acquire_nowait()
            return
        except anyio.WouldBlock:
            pass
        if self.waiting >= self._most_waiting:
            raise busy()
        self.waiting += 1
        try:
            if request is None:
                await self._places.acquire()
            else:
                await self._wait_while_connected(request)
        finally:
            self.waiting -= 1

    async def _wait_while_connected(self, request: Request) -> None:
        has_place = False
        async with anyio.create_task_group() as group:

            async def give_up_when_gone() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(give_up_when_gone)
            await self._places.acquire()
            has_place = True
            group.cancel_scope.cancel()
        if not has_place:
            raise ClientDisconnect


class Budget:
    """Bytes that may be held at once, over all requests."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def take(self, size: int) -> bool:
        """Take some; False, and nothing taken, if they do not fit."""
        if self.held + size > self.most:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self.held -= size
