"""How far a long step is: shown on a terminal, or not at all."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


class Progress(Protocol):
    """Hands items on and shows how far it is."""

    def __call__(self, items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        """`what` says what is done with the items; `total` how many there are, where they do not."""


def silent(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Show nothing."""
    return items


def shown_on(console: Console) -> Progress:
    """A bar on a console, which goes when the step is done."""

    def show(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        return track(items, what, total=total, console=console, transient=True)

    return show
