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
#: Whoever asked is long gone, before the event came to its turn.
_LIFETIME_S: Final = 300.0


class Parcels:
    """Long texts by ticket, within the budget of uploads."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held: dict[str, tuple[float, str]] = {}

    def deposit(self, text: str) -> str:
        """Keep a text until its ticket comes back.

        Raises:
            AnalysisError: 503, memory has no room for it.
        """
        self._drop_old()
        if not self._budget.take(len(text)):
            raise busy()
        ticket = secrets.token_urlsafe()
        self._held[ticket] = (time.monotonic(), text)
        return ticket

    @contextmanager
    def redeemed(self, ticket: str) -> Iterator[str]:
        """The text behind a ticket, which is worth nothing then; what is no ticket stands for itself."""
        if ticket not in self._held:
            yield ticket
            return
        _, text = self._held.pop(ticket)
        try:
            yield text
        finally:
            self._budget.give_back(len(text))

    def drop(self, ticket: str) -> None:
        """Forget a text, if it is still there."""
        if ticket in self._held:
            _, text = self._held.pop(ticket)
            self._budget.give_back(len(text))

    def _drop_old(self) -> None:
        oldest = time.monotonic() - _LIFETIME_S
        for ticket in [one for one, (since, _) in self._held.items() if since < oldest]:
            self.drop(ticket)
