"""Delete old versions."""

from collections.abc import Set
from dataclasses import dataclass

from serving.release.model_config import ConfigFile
from serving.release.store import Store


@dataclass(frozen=True)
class Pruned:
    """What was deleted, and what was kept though it is older than the newest N."""

    deleted: tuple[int, ...]
    withdrawn_deleted: tuple[int, ...]
    spared: tuple[int, ...]


def prune(
    store: Store,
    config: ConfigFile,
    *,
    keep: int,
    withdrawn: bool,
    loaded: Set[int] = frozenset(),
    dry_run: bool = False,
) -> Pruned:
    """Delete all but the newest versions; each disappears whole before its files go.

    Versions that have a label, that `models.config` pins, or that a server has loaded stay, and the
    newest does in any case.

    Args:
        store: of the model.
        config: its entry in `models.config`.
        keep: how many of the newest to keep, at least 1.
        withdrawn: delete those that were rolled back as well; they cannot be restored then.
        loaded: versions that a server has loaded.
        dry_run: only tell.

    Raises:
        VersionError: the config cannot be read, or another command holds the lock too long.
    """
    with store.exclusive():
        entry = config.read()
        needed = loaded | (entry.pinned or frozenset()) | frozenset(entry.labels.values())
        old = store.versions()[:-keep]
        doomed = [version for version in old if version not in needed]
        set_aside = store.withdrawn() if withdrawn else []
        if not dry_run:
            for version in doomed:
                store.discard(store.path(version))
            for version in set_aside:
                store.discard(store.withdrawn_path(version))
    spared = tuple(version for version in old if version in needed)
    return Pruned(tuple(doomed), tuple(set_aside), spared)
