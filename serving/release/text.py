"""How the commands on versions tell their results: sentences and a table."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from serving.release.inventory import CardSummary, Row
from serving.release.model_config import ConfigFile, Entry
from serving.release.publish import MEGABYTE, Published


def published_text(done: Published, card: CardSummary) -> str:
    """What was published and how it was verified, a line each."""
    found = done.examined
    told = (
        f"{done.path} is published: {done.bytes / MEGABYTE:.1f} MB, digest {done.digest[:12]}, "
        f"{_card_text(card)}.\n"
        f"Verified: {found['signatures']} signatures, {found['images']} images, "
        f"{found['warmup']} warm-up records; {found['peak_mb']} MB of memory at most."
    )
    if card.version not in (None, done.version):
        told += f"\nIts card was written when it was version {card.version}, and still says so."
    return told


def entry_text(config: ConfigFile, entry: Entry) -> str:
    """What servers load, and whom clients reach under which label."""
    if entry.pinned is None:
        return f"{config.path}: no labels; servers load the newest version."
    named = ", ".join(f"{name} is {version}" for name, version in sorted(entry.labels.items()))
    return (
        f"{config.path}: {named or 'no labels'}; servers load {listed(entry.pinned)}. "
        f"Clients that name none get {max(entry.pinned)}."
    )


def listed(numbers: Iterable[int]) -> str:
    """Version numbers in a sentence."""
    return ", ".join(str(number) for number in sorted(numbers))


def print_table(rows: list[Row], console: Console) -> None:
    """One line a version; columns that would be empty are left out."""
    asked = any(row.server for row in rows)
    labelled = any(row.labels or row.pinned for row in rows)
    columns: list[Column | str] = [
        Column("version", justify="right"),
        Column("place", no_wrap=True),
    ]
    columns += ["server"] if asked else []
    columns += ["labels"] if labelled else []
    columns += [
        Column("made", no_wrap=True),
        Column("AUC", justify="right"),
        "commit",
        Column("MB", justify="right"),
    ]
    table = Table(*columns, Column("files", overflow="fold"), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in rows:
        card = row.card
        cells = [str(row.version), row.place]
        cells += [row.server or "–"] if asked else []
        cells += [", ".join(row.labels) or ("pinned" if row.pinned else "–")] if labelled else []
        cells += [card.created[:10] if card.created else "–"]
        cells += [f"{card.auc:.3f}" if card.auc is not None else "–", card.commit or "–"]
        cells += [f"{row.bytes / MEGABYTE:.1f}", _files_text(row)]
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)


def _card_text(card: CardSummary) -> str:
    parts = [
        f"made {card.created[:10]}" if card.created else "",
        f"AUC {card.auc:.3f}" if card.auc is not None else "",
        f"commit {card.commit}" if card.commit else "",
    ]
    return ", ".join(part for part in parts if part) or "no model card"


def _files_text(row: Row) -> str:
    if row.integrity is None:
        return "–"
    if row.integrity.digest is None:
        return "no digest"
    if row.integrity.is_whole:
        return f"whole {row.integrity.digest[:8]}"
    return str(row.integrity)
