"""Settings of `python -m ui`: flags and environment variables (`UI_…`) of the same name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from serving.contract import MODEL_NAME


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one front end depends on."""

    server: str = "127.0.0.1:8500"
    """Model server: `HOST:PORT` for gRPC, `http://HOST:PORT` for REST; with TLS `grpcs://…`, `https://…`."""

    ca_certificate: Path | None = None
    """PEM file of the authorities to trust over TLS; by default those that the system trusts."""

    model: str = MODEL_NAME
    """Name under which the server serves the model."""

    model_directory: Path | None = None
    """The versioned directory that the model server serves from, only ever read: with it the page shows
    the plots of model cards, and the cards of versions that are not served."""

    timeout_s: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 10.0
    """Seconds the model may take for one scan before the user gets an error."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` lets other machines in."""

    port: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=65535))] = 7860
    """Port to listen on."""

    root_path: str = ""
    """Path under which a reverse proxy publishes the page, without a last slash, for example `/scans`;
    the proxy takes it off again and redirects `/scans` to `/scans/`."""

    cors_origins: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Origins whose pages may call the API from a browser, for example `https://clinic.example`."""

    share: Annotated[bool, Parameter(negative=())] = False
    """Publish the page on a temporary public gradio.live address: everyone who knows it can use it."""
