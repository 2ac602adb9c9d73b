"""Take newer versions out of service, and bring them back.

TensorFlow Serving serves the newest directory of the base path, unless its `models.config` names versions.
A rollback changes the one of the two that is in force, and the server follows with its next polls:

- Without pinned versions, the newer directories are moved to `.versions/withdrawn`, by a rename each. The
  next poll no longer finds them: the server loads the older version, then unloads the newer one. The
  alternatives are worse. A copy of the older version under a new number would need disk space and
  minutes when neither may be at hand, and answer under a number that its card does not know. A
  `models.config` is not read by a server that was started without one.
- With pinned versions, the config is written anew and no directory moves: a server whose pinned
  directory vanishes before it reads the new config would unload it and have nothing to serve.

Several versions are withdrawn from the lowest up, so that the server stays on the newest until the last
rename takes effect, and a kill in between changes nothing for it. Both ways can be undone: `restore`
renames back; a label is moved back. The files of a version are not touched by any of it.
"""

from dataclasses import dataclass

from serving.client import Client
from serving.release.labels import demand_whole, move_labels
from serving.release.model_config import ConfigFile, Entry
from serving.release.store import Store
from serving.versions import VersionError


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did.

    Attributes:
        to: the version that serves.
        withdrawn: versions whose directories were taken out of service.
        entry: what `models.config` says now, if that is what was changed.
    """

    to: int
    withdrawn: tuple[int, ...] = ()
    entry: Entry | None = None


def rollback(
    store: Store, config: ConfigFile, to: int | None, *, client: Client | None, timeout_s: float
) -> RolledBack:
    """Go back to an older version.

    Args:
        store: of the model.
        config: its entry in `models.config`.
        to: the version; by default the next older one, among the pinned ones if there are.
        client: a server to wait for where a label moves (see `labels.set_label`).
        timeout_s: how long.

    Raises:
        VersionError: there is nothing to go back to, the older version is damaged, or a label moves
            and there is no client; nothing is withdrawn then.
    """
    with store.exclusive():
        entry = config.read()
        if entry.pinned is None:
            return _withdraw(store, entry, to)
        target = _target(store, sorted(entry.pinned), to)
    final = move_labels(
        store,
        config,
        lambda entry: _clipped(store, entry, target),
        client=client,
        timeout_s=timeout_s,
    )
    return RolledBack(target, entry=final)


def restore(store: Store, version: int) -> None:
    """Bring back a version that was rolled back, under its own number: it is the same to the byte.

    Raises:
        VersionError: it was not rolled back.
    """
    with store.exclusive():
        if version not in store.withdrawn():
            known = ", ".join(str(one) for one in store.withdrawn()) or "there is none"
            raise VersionError(f"Version {version} was not rolled back; of those, {known}.")
        store.restore(version)


def _withdraw(store: Store, entry: Entry, to: int | None) -> RolledBack:
    target = _target(store, store.versions()[-1:], to)
    newer = [version for version in store.versions() if version > target]
    labelled = sorted(name for name, version in entry.labels.items() if version in newer)
    if labelled:
        raise VersionError(f"The label {labelled[0]} names a newer version; move it first.")
    for version in newer:
        store.withdraw(version)
    return RolledBack(target, withdrawn=tuple(newer))


def _target(store: Store, serving: list[int], to: int | None) -> int:
    """The version to go back to; `serving` are those that serve now, ascending."""
    if not serving:
        raise VersionError(f"There is no version in {store.base}.")
    if to is None:
        older = serving[:-1] or [v for v in store.versions() if v < serving[-1]]
        if not older:
            raise VersionError(
                f"There is no version older than {serving[-1]} to go back to. Publish a good one."
            )
        to = older[-1]
    if to >= serving[-1]:
        raise VersionError(f"Version {to} is not older than {serving[-1]}, which serves.")
    demand_whole(store, to)
    return to


def _clipped(store: Store, entry: Entry, target: int) -> Entry:
    """The entry with nothing newer than a version in it."""
    demand_whole(store, target)
    return Entry(
        {name: min(version, target) for name, version in entry.labels.items()},
        frozenset(min(version, target) for version in entry.pinned or {target}),
    )
