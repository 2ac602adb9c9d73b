"""What lies beside the models on disk: cards of versions that are not served, and the plots of a card."""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from serving.card import CARD_FILE, parse_card
from serving.release.digest import stated
from serving.versions import is_version_name
from ui.failures import AnalysisError
from ui.openapi import errors
from ui.schema import MAX_VERSION

_PLOT: Final = re.compile(r"^[a-z0-9_]{1,64}\.png$")
_PNG: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
_Plot = Annotated[str, PathParameter(pattern=_PLOT.pattern, description="As `plots` names it.")]
_Version = Annotated[int, PathParameter(ge=1, le=MAX_VERSION, description="A version on disk.")]


class VersionsOnDisk(BaseModel):
    """What `--model-directory` holds."""

    versions: list[int] | None = Field(
        description="Newest first; null where the page's server knows no such directory.",
        examples=[[3, 2, 1]],
    )


class Plots(BaseModel):
    """The plots of a version's card."""

    plots: list[str] | None = Field(
        description="Names to ask for; null where the page's server knows no model directory.",
        examples=[["curves.png", "leave_one_source_out.png"]],
    )


class ModelDirectory:
    """A versioned model directory, only ever read: `1/`, `2/`, … with card and plots in each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def versions(self) -> list[int]:
        """Versions with a card, newest first."""
        found = [one.parent for one in self._path.glob(f"*/{CARD_FILE}")]
        return sorted((int(one.name) for one in found if is_version_name(one.name)), reverse=True)

    def card(self, version: int) -> dict[str, Any] | None:
        """The card of a version, if there is a readable one."""
        try:
            return parse_card((self._path / str(version) / CARD_FILE).read_bytes())
        except (OSError, ValueError):
            return None

    def plots(self, version: int) -> list[str]:
        """Names of a version's plots, in order."""
        return sorted(self._digests_of_plots(version))

    def plot(self, version: int, name: str) -> bytes | None:
        """A plot's file, if it is one of `plots` and is what the version was published with."""
        digests = self._digests_of_plots(version)
        if name not in digests:
            return None
        try:
            payload = (self._path / str(version) / "plots" / name).read_bytes()
        except OSError:
            return None
        unchanged = digests[name] in (None, hashlib.sha256(payload).hexdigest())
        return payload if unchanged else None

    def _digests_of_plots(self, version: int) -> dict[str, str | None]:
        """The digest of each plot; None where the version states none at all."""
        folder = self._path / str(version)
        names = [one.name for one in (folder / "plots").glob("*.png") if one.is_file()]
        names = [name for name in names if _PLOT.fullmatch(name)]
        sums = stated(folder)
        if sums is None:
            return dict.fromkeys(names)
        return {name: sums[f"plots/{name}"] for name in names if f"plots/{name}" in sums}


def add_model_directory(app: FastAPI, path: Path | None) -> None:
    """Add the routes to an application; without a path they say that nothing is known.

    Args:
        app: to add to.
        path: the versioned directory that the model server serves from.
    """
    directory = None if path is None else ModelDirectory(path)

    @app.get(
        "/api/v1/versions",
        summary="Versions of the model on disk",
        operation_id="read_versions",
        response_description="The versions.",
    )
    def versions() -> VersionsOnDisk:
        """Those beside the served ones too: their cards tell how the model came to be what it is."""
        return VersionsOnDisk(versions=None if directory is None else directory.versions())

    @app.get(
        "/api/v1/versions/{number}/card",
        summary="The card of a version on disk",
        operation_id="read_card_on_disk",
        response_description="The card.",
        responses=errors(404, 422),
    )
    def card(number: _Version) -> dict[str, Any]:
        """As it lies on disk, whether served or not. `/api/v1/model/{version}` gives a served one's."""
        found = None if directory is None else directory.card(number)
        if found is None:
            raise AnalysisError(
                404,
                "version_not_found",
                f"There is no version {number} on disk. `/api/v1/versions` lists those that are.",
            )
        return found

    @app.get(
        "/api/v1/model/{version}/plots",
        summary="The plots of a version's card",
        operation_id="read_plots",
        response_description="Their names.",
        responses=errors(422),
    )
    def plots(version: _Version) -> Plots:
        """Names of pictures that show the card's figures."""
        return Plots(plots=None if directory is None else directory.plots(version))

    @app.get(
        "/api/v1/model/{version}/plots/{name}",
        summary="A plot",
        operation_id="read_plot",
        response_class=Response,
        response_description="A picture.",
        responses=_PNG | errors(404, 422),
    )
    def plot(version: _Version, name: _Plot) -> Response:
        """One of the pictures that `plots` names."""
        found = None if directory is None else directory.plot(version, name)
        if found is None:
            raise AnalysisError(
                404,
                "plot_not_found",
                f"There is no such plot. `/api/v1/model/{version}/plots` lists those that are.",
            )
        return Response(found, media_type="image/png")
