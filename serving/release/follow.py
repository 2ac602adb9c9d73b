"""Wait until a server has followed a change on disk."""

import time
from collections.abc import Callable, Mapping, Set
from typing import Final

from serving.client import Client
from serving.errors import ModelNotFound
from serving.versions import VersionError

_LOOK_S: Final = 0.2
AVAILABLE: Final = "AVAILABLE"
_GONE: Final = "END"


def wait_until_served(client: Client, version: int, timeout_s: float) -> None:
    """Return once a version answers.

    Raises:
        VersionError: it does not in time.
        ServingError: the server cannot be asked.
    """
    _wait_for_states(
        client, lambda states: states.get(version) == AVAILABLE, f"serve {version}", timeout_s
    )


def wait_until_gone(client: Client, version: int, timeout_s: float) -> None:
    """Return once a version answers no more; errors as for `wait_until_served`."""
    _wait_for_states(
        client,
        lambda states: states.get(version, _GONE) == _GONE,
        f"let go of {version}",
        timeout_s,
    )


def wait_until_only(client: Client, versions: Set[int], timeout_s: float) -> None:
    """Return once no other version than these answers; errors as for `wait_until_served`."""
    for version in loaded(client).keys() - versions:
        wait_until_gone(client, version, timeout_s)


def wait_until_labelled(client: Client, labels: Mapping[str, int | None], timeout_s: float) -> None:
    """Return once each label names its version, or none where that is None.

    A version may answer long before its label does: servers read their config by polls of their own.

    Raises:
        VersionError: one does not in time.
        ServingError: the server cannot be asked.
    """
    for label, version in labels.items():
        deadline = time.monotonic() + timeout_s
        while (named := _named(client, label)) != version:
            if time.monotonic() >= deadline:
                raise VersionError(
                    f"On the server the label {label} names {named or 'no version'} after "
                    f"{timeout_s:g} s, not {version or 'none'}. Does it read this models.config? "
                    "Its log says why; what was changed on disk stays."
                )
            time.sleep(_LOOK_S)


def loaded(client: Client) -> dict[int, str]:
    """Versions that a server has, or is about to have, with their states."""
    return {version: state for version, state in client.status().items() if state != _GONE}


def _named(client: Client, label: str) -> int | None:
    try:
        return client.metadata(version_label=label).version
    except ModelNotFound:
        return None


def _wait_for_states(
    client: Client, done: Callable[[dict[int, str]], bool], what: str, timeout_s: float
) -> None:
    deadline = time.monotonic() + timeout_s
    while not done(states := client.status()):
        if time.monotonic() >= deadline:
            told = ", ".join(f"{version} {state}" for version, state in sorted(states.items()))
            raise VersionError(
                f"The server does not {what} after {timeout_s:g} s; it has {told or 'no version'}. "
                "Its log says why; what was changed on disk stays."
            )
        time.sleep(_LOOK_S)
