"""Settings of `python -m ui`: flags and environment variables (`UI_…`) of the same name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from serving.contract import MODEL_NAME

_Positive = Parameter(validator=validators.Number(gte=1))


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

    version_label: str | None = None
    """Ask the version that bears this label on the server, for example `stable`, and never a canary; by
    default the newest."""

    model_directory: Path | None = None
    """The versioned directory that the model server serves from, only ever read: with it the page shows
    the plots of model cards, and the cards of versions that are not served."""

    timeout_s: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 10.0
    """Seconds the model may take for one question, of up to 16 images, before the user gets an error."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` lets other machines in."""

    port: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=65535))] = 7860
    """Port to listen on."""

    root_path: str = ""
    """Path under which a reverse proxy publishes the page, without a last slash, for example `/scans`;
    the proxy takes it off again and redirects `/scans` to `/scans/`."""

    trusted_proxies: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Addresses or networks of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed,
    for example `10.0.0.0/8`; by default nobody's are, and all who come through one proxy are one client."""

    cors_origins: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Origins whose pages may call the API from a browser, for example `https://clinic.example`."""

    login_file: Path | None = None
    """File of `NAME:PASSWORD` lines, readable by its owner only. Protects the page and the API, all but
    `/healthz` and `/readyz`: a browser asks for name and password (HTTP Basic; use TLS in front)."""

    api_key_file: Path | None = None
    """File of keys, one a line, readable by its owner only. Protects the same as `--login-file`, for
    programs: `X-API-Key: KEY` or `Authorization: Bearer KEY`. With both files, either opens; with keys
    alone, no browser can open the page."""

    rate_limit: str = "300/minute"
    """Analyses one client address may ask for, over a sliding window; `0` for no limit. One request with 200
    files is one."""

    running: Annotated[int, _Positive] = 8
    """Requests analysed at once."""

    waiting: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 100
    """Requests that wait for their turn; one more is answered `busy`, 503."""

    memory_mb: Annotated[int, _Positive] = 512
    """Megabytes of uploads held at once, over all clients; what does not fit is answered `busy`, 503."""

    share: Annotated[bool, Parameter(negative=())] = False
    """Publish the page on a temporary gradio.live address. Whatever is sent goes through a third party's
    tunnel: never medical data. Needs `--login-file`, or the next flag."""

    share_without_login: Annotated[bool, Parameter(negative=())] = False
    """With `--share`: everyone who knows the address may use the page."""
