"""Settings of the commands on versions: flags and environment variables (`SERVING_…`) of the same name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from serving.contract import MODEL_NAME
from serving.release.publish import MAX_MEGABYTES, VERIFY_TIMEOUT_S

_Positive = Annotated[float, Parameter(validator=validators.Number(gt=0))]
_Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
_Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class VersionSettings:
    """What every command on versions may be told."""

    server: str | None = None
    """A server to ask, `HOST:PORT` for gRPC or `http://HOST:PORT` for REST; `grpcs://…`, `https://…`."""

    ca_certificate: Path | None = None
    """PEM file of the authorities to trust over TLS; by default those that the system trusts."""

    model: str = MODEL_NAME
    """Name of the model on the server and in the model config."""

    config: Path | None = None
    """The server's --model_config_file; by default `models.config` in the base path."""

    json: _Flag = False
    """Print JSON instead of text."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FollowSettings(VersionSettings):
    """For commands that change what serves. With --server they return once the server has followed."""

    wait_s: _Positive = 120.0
    """Longest wait for the server, in seconds."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PublishSettings(FollowSettings):
    """What a new version must fulfil."""

    max_megabytes: _Positive = MAX_MEGABYTES
    """Largest size of all files together, in units of 1,000,000 bytes."""

    verify_timeout_s: _Positive = VERIFY_TIMEOUT_S
    """Longest time that loading and asking it may take, in seconds."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LabelSettings(FollowSettings):
    """How to write a model config."""

    remove: _Flag = False
    """Take the label away instead."""

    served_base_path: Path | None = None
    """The base path as the server sees it, /models/brain_tumor in a container; by default ours."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RollbackSettings(FollowSettings):
    """How far to go back."""

    to: int | None = None
    """The version to go back to; by default the next older one."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PruneSettings(VersionSettings):
    """What to keep."""

    keep: _Count
    """How many of the newest versions to keep."""

    withdrawn: _Flag = False
    """Delete the versions that were rolled back as well; they cannot be restored then."""

    dry_run: _Flag = False
    """Only tell what would be deleted."""
