"""`--share`: a page that one can send somebody a link to, through a tunnel of Gradio's makers."""

import secrets
from typing import Final

from ui.settings import Settings

_WARNING: Final = (
    "WARNING: --share sends everything through a third party's tunnel (gradio.live), where it is decrypted.\n"
    "Never send medical data to the public address; it is for demonstrations with the page's own samples."
)
_OPEN_TO_ALL: Final = "Everyone who knows the address may use the page."


class ShareError(Exception):
    """There is no public address."""


def check_allowed(settings: Settings) -> None:
    """Whether the settings allow to share.

    Raises:
        ValueError: nobody would have to log in, and nobody said that this is meant.
    """
    if settings.share and settings.login_file is None and not settings.share_without_login:
        raise ValueError(
            "--share publishes the page on the internet. Give --login-file, "
            "or --share-without-login if everybody may use it."
        )


def warning(settings: Settings) -> str:
    """What to tell before sharing."""
    return _WARNING if settings.login_file else f"{_WARNING}\n{_OPEN_TO_ALL}"


def open_tunnel(port: int) -> str:
    """Open the tunnel to a port of this machine; it closes when the process ends.

    Returns:
        The public address, which works for a week at most.

    Raises:
        ShareError: no tunnel; the message says what to look at.
    """
    from gradio import networking

    try:
        return networking.setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None)
    except Exception as error:  # whatever the network and a downloaded program come up with
        raise ShareError(
            "The public address could not be opened. --share needs to reach api.gradio.app, "
            "cdn-media.huggingface.co and the tunnel's server."
        ) from error
