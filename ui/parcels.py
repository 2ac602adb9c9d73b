"""Scans on their way through Gradio: it gets a ticket and never sees, queues or keeps what was sent.

Left to itself, Gradio holds what an event was given by session for an hour, and in cycles of objects.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ui.admission import Budget
from ui.failures import busy

#: Shorter texts travel as they are.
MIN_LENGTH: Final = 1000
#: An event fetches its text at once, or failed before it could, of wrong values for example.
LIFETIME_S: Final = 60.0
#: Of the budget, for what waits to be fetched: such events must not keep all others out.
_SHARE: Final = 4


class Parcels:
    """Long texts by ticket, within a quarter of the budget of uploads."""

    def __init__(self, budget: Budget, lifetime_s: float = LIFETIME_S) -> None:
        """Hold nothing yet.

        Args:
            budget: bytes held at once, over all requests.
            lifetime_s: after so long a text is forgotten.
        """
        self._budget = budget
        self._lifetime_s = lifetime_s
        self._held: dict[str, tuple[float, str]] = {}
        self._size = 0

    def deposit(self, text: str) -> str:
        """Keep a text until its ticket comes back.

        Raises:
            AnalysisError: 503, memory has no room for it.
        """
        self._drop_old()
        too_much = self._size + len(text) > self._budget.most // _SHARE
        if too_much or not self._budget.take(len(text)):
            raise busy()
        self._size += len(text)
        ticket = secrets.token_urlsafe()
        self._held[ticket] = (time.monotonic(), text)
        return ticket

    @contextmanager
    def redeemed(self, ticket: str) -> Iterator[str]:
        """The text behind a ticket, which is worth nothing then; what is no ticket stands for itself."""
        if ticket not in self._held:
            yield ticket
            return
        text = self._pop(ticket)
        try:
            yield text
        finally:
            self._budget.give_back(len(text))

    def drop(self, ticket: str) -> None:
        """Forget a text, if it is still there."""
        if ticket in self._held:
            text = self._pop(ticket)
            self._budget.give_back(len(text))

    def _pop(self, ticket: str) -> str:
        _, text = self._held.pop(ticket)
        self._size -= len(text)
        return text

    def _drop_old(self) -> None:
        oldest = time.monotonic() - self._lifetime_s
        for ticket in [one for one, (since, _) in self._held.items() if since < oldest]:
            self.drop(ticket)
