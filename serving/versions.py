"""Version directories of a model, as TensorFlow Serving sees them. `serving.release` changes them."""

from pathlib import Path
from typing import Final

from serving.errors import ServingError

SAVED_MODEL: Final = "saved_model.pb"


class VersionError(ServingError):
    """A command on versions cannot do what was asked; it says what it left undone."""


class PublishError(VersionError):
    """A version was not published; nothing of it is left behind."""


def list_versions(base: Path) -> list[int]:
    """Servable versions below a base path, ascending.

    A version is a directory named by a positive integer without leading zeros that holds a
    `saved_model.pb`; TensorFlow Serving ignores everything else silently, and so does this.
    """
    if not base.is_dir():
        return []
    return sorted(
        int(entry.name)
        for entry in base.iterdir()
        if is_version_name(entry.name) and (entry / SAVED_MODEL).is_file()
    )


def is_version_name(name: str) -> bool:
    """Whether a directory of this name is a version."""
    return name.isascii() and name.isdigit() and not name.startswith("0")
