"""Wait until a server has followed a change on disk."""

import time
from collections.abc import Callable
from typing import Final

from serving.client import Client
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
    _wait(client, lambda states: states.get(version) == AVAILABLE, f"serve {version}", timeout_s)


def wait_until_gone(client: Client, version: int, timeout_s: float) -> None:
    """Return once a version answers no more; errors as for `wait_until_served`."""
    _wait(
        client,
        lambda states: states.get(version, _GONE) == _GONE,
        f"let go of {version}",
        timeout_s,
    )


def loaded(client: Client) -> dict[int, str]:
    """Versions that a server has, or is about to have, with their states."""
    return {version: state for version, state in client.status().items() if state != _GONE}


def _wait(
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
