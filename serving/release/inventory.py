"""What versions there are: on disk, on a server, under which label, and whether they are whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.card import CARD_FILE, parse_card
from serving.release.digest import Integrity, check, size
from serving.release.model_config import Entry
from serving.release.store import Store


@dataclass(frozen=True)
class CardSummary:
    """What one wants to know of a version at a glance; None where its card does not say.

    Attributes:
        created: date and time in ISO 8601.
        auc: on the test split.
        commit: of the code that made it.
        version: the number that it was made for.
    """

    created: str | None = None
    auc: float | None = None
    commit: str | None = None
    version: int | None = None


@dataclass(frozen=True)
class Row:
    """One version.

    Attributes:
        version: its number.
        place: `on disk`, `withdrawn` by a rollback, or `missing`: only a server still has it.
        server: its state there; None if it has none, or no server was asked.
        labels: that name it, sorted.
        pinned: whether `models.config` has servers load it.
        card: its card in brief.
        integrity: its files against their manifest; None for a missing one.
        bytes: its size on disk.
    """

    version: int
    place: str
    server: str | None
    labels: tuple[str, ...]
    pinned: bool
    card: CardSummary
    integrity: Integrity | None
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """The row for `json.dumps`."""
        found = self.integrity
        return {
            "version": self.version,
            "place": self.place,
            "server": self.server,
            "labels": list(self.labels),
            "pinned": self.pinned,
            "created": self.card.created,
            "auc": self.card.auc,
            "git_commit": self.card.commit,
            "digest": found.digest if found else None,
            "whole": found.is_whole if found and found.digest else None,
            "problems": list(found.problems) if found else [],
            "bytes": self.bytes,
        }


def take_inventory(store: Store, entry: Entry, states: dict[int, str]) -> list[Row]:
    """A row for each version on disk, withdrawn, labelled, or known to a server; newest first.

    Args:
        store: of the model.
        entry: what `models.config` says about it.
        states: state by version on a server; empty without one.
    """
    places = {
        version: ("withdrawn", store.withdrawn_path(version)) for version in store.withdrawn()
    }
    places |= {version: ("on disk", store.path(version)) for version in store.versions()}
    named = frozenset(entry.labels.values()) | (entry.pinned or frozenset())
    rows = []
    for version in sorted(places.keys() | states.keys() | named, reverse=True):
        place, path = places.get(version, ("missing", None))
        rows.append(
            Row(
                version=version,
                place=place,
                server=states.get(version),
                labels=tuple(sorted(n for n, v in entry.labels.items() if v == version)),
                pinned=version in (entry.pinned or ()),
                card=summarise(path) if path else CardSummary(),
                integrity=check(path) if path else None,
                bytes=size(path) if path else 0,
            )
        )
    return rows


def summarise(version: Path) -> CardSummary:
    """The card of a version in brief; empty where there is none that can be read."""
    try:
        card = parse_card((version / CARD_FILE).read_bytes())
        auc = card.get("metrics", {}).get("test", {}).get("auc", {}).get("value")
        created, commit, number = (card.get(n) for n in ("created", "git_commit", "version"))
        auc = float(auc) if isinstance(auc, int | float) else None
    except (OSError, ValueError, AttributeError, OverflowError):
        return CardSummary()
    return CardSummary(
        created=created if isinstance(created, str) else None,
        auc=auc,
        commit=commit if isinstance(commit, str) else None,
        version=number if isinstance(number, int) else None,
    )
