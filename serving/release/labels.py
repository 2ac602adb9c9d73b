"""Labels: `stable` and `canary`, or any other name, each of one version."""

import re
from collections.abc import Callable
from typing import Final

from serving.client import Client
from serving.release.digest import check
from serving.release.follow import wait_until_served
from serving.release.model_config import ConfigFile, Entry
from serving.release.store import Store
from serving.versions import VersionError

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def set_label(
    store: Store,
    config: ConfigFile,
    label: str,
    version: int,
    *,
    client: Client | None,
    timeout_s: float,
) -> Entry:
    """Let a label name a version, and have servers load it.

    Args:
        store: of the model.
        config: its entry in `models.config`.
        label: a word; clients ask for it by this name.
        version: one that is in service.
        client: a server that reads the config; waited for where a label moves. None: see below.
        timeout_s: how long.

    Raises:
        VersionError: there is no such version, it is damaged, or the label moves to a version that was
            not loaded by the config and there is no client to wait for it: it is loaded from now on,
            and the same command moves the label later.
    """
    if not _NAME.fullmatch(label):
        raise VersionError(f"{label!r} is no label. Use a word such as stable or canary.")

    def goal(entry: Entry) -> Entry:
        demand_whole(store, version)
        return entry.labelled(entry.labels | {label: version})

    return move_labels(store, config, goal, client=client, timeout_s=timeout_s)


def remove_label(store: Store, config: ConfigFile, label: str) -> Entry:
    """Take a label away; without any, servers load the newest version again.

    Raises:
        VersionError: there is no such label.
    """

    def goal(entry: Entry) -> Entry:
        if label not in entry.labels:
            known = ", ".join(sorted(entry.labels)) or "there is none"
            raise VersionError(f"{config.path} has no label {label}; known: {known}.")
        return entry.labelled({n: v for n, v in entry.labels.items() if n != label})

    return move_labels(store, config, goal, client=None, timeout_s=0.0)


def move_labels(
    store: Store,
    config: ConfigFile,
    goal: Callable[[Entry], Entry],
    *,
    client: Client | None,
    timeout_s: float,
) -> Entry:
    """Write the entry that `goal` makes of the present one, in two steps where a server needs that.

    Returns:
        What the config says now.

    Raises:
        VersionError: see `set_label`.
    """
    while True:
        with store.exclusive(), config.exclusive():
            now = config.read()
            end = goal(now)
            step = now.towards(end)
            config.write(step)
        if step == end:
            return end
        loading = sorted((step.pinned or frozenset()) - (now.pinned or frozenset()))
        if client is None:
            raise VersionError(
                "No label was moved yet: a server refuses to move one to a version that is not loaded. "
                f"{config.path} loads {_listed(loading)} from now on: repeat the command once that is "
                "AVAILABLE, or give --server to have it waited for."
            )
        for version in loading:
            wait_until_served(client, version, timeout_s)


def demand_whole(store: Store, version: int) -> None:
    """Raise VersionError unless a version is in service and not known to be damaged."""
    if version not in store.versions():
        withdrawn = version in store.withdrawn()
        hint = " It was rolled back; `restore` brings it back." if withdrawn else ""
        raise VersionError(f"There is no version {version} in {store.base}.{hint}")
    integrity = check(store.path(version))
    if integrity.problems:
        raise VersionError(f"Version {version} must not serve. {integrity}.")


def _listed(versions: list[int]) -> str:
    return " and ".join(str(version) for version in versions)
