"""TensorFlow Serving's configuration files, which are protos as text: read, checked, refused in words."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import ServingError
from serving.local.batching import BatchingParameters
from serving.wire import config_pb2

Message = TypeVar("Message")

PROMETHEUS_PATH: Final = "/monitoring/prometheus/metrics"
_PLATFORM: Final = "tensorflow"


class ConfigError(ServingError):
    """A configuration file cannot be read, or says what cannot be."""


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions on disk are to serve: the newest few, all, or those named.

    Attributes:
        newest: how many of the newest; None for all.
        named: these and no others; None for no such list.
    """

    newest: int | None = 1
    named: frozenset[int] | None = None

    def choose(self, versions: list[int]) -> list[int]:
        """Those of the versions (ascending) that are to serve, ascending."""
        if self.named is not None:
            return [version for version in versions if version in self.named]
        return versions if self.newest is None else versions[-self.newest :]


@dataclass(frozen=True)
class ModelConfig:
    """One model: where its versions lie, which of them serve, and under which labels."""

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: dict[str, int] = field(default_factory=dict)


def read_text_proto(path: Path, message: Message) -> Message:
    """Fill a message from a text file, and return it.

    Raises:
        ConfigError: no such file, or it is not that message as text.
    """
    try:
        return text_format.Parse(path.read_text(), message)  # type: ignore[type-var]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    except text_format.ParseError as error:
        kind = message.DESCRIPTOR.name  # type: ignore[attr-defined]
        raise ConfigError(f"{path} is not a {kind} as text: {error}") from error


def read_models(path: Path) -> list[ModelConfig]:
    """The models of a `--model_config_file`.

    Raises:
        ConfigError: see `read_text_proto` and `model_configs`.
    """
    message = read_text_proto(path, model_server_config_pb2.ModelServerConfig())
    try:
        return model_configs(message)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def model_configs(message: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """The models that a ModelServerConfig lists.

    Raises:
        ConfigError: no list of models, a name or path is missing or used twice, or another platform.
    """
    if message.WhichOneof("config") != "model_config_list":
        raise ConfigError(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    found = [_model_config(one) for one in message.model_config_list.config]
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Illegal to list model {name} multiple times in config list")
    return found


def read_batching(path: Path) -> BatchingParameters:
    """A `--batching_parameters_file`; what it leaves out has TensorFlow Serving's defaults.

    Raises:
        ConfigError: see `read_text_proto`, or values that contradict each other.
    """
    message = read_text_proto(path, config_pb2.BatchingParameters())
    given: dict[str, Any] = {
        name: getattr(message, name).value
        for name in BatchingParameters.__dataclass_fields__
        if name != "allowed_batch_sizes" and message.HasField(name)
    }
    try:
        return BatchingParameters(**given, allowed_batch_sizes=tuple(message.allowed_batch_sizes))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_monitoring(path: Path) -> str | None:
    """Where a `--monitoring_config_file` wants the metrics; None if it does not.

    Raises:
        ConfigError: see `read_text_proto`.
    """
    prometheus = read_text_proto(path, config_pb2.MonitoringConfig()).prometheus_config
    return (prometheus.path or PROMETHEUS_PATH) if prometheus.enable else None


def read_credentials(path: Path) -> grpc.ServerCredentials:
    """TLS for gRPC from an `--ssl_config_file`, which holds keys and certificates themselves (PEM).

    Raises:
        ConfigError: see `read_text_proto`, or the key or certificate is missing.
    """
    message = read_text_proto(path, config_pb2.SSLConfig())
    if not message.server_key or not message.server_cert:
        raise ConfigError(f"{path} needs server_key and server_cert.")
    return grpc.ssl_server_credentials(
        [(message.server_key.encode(), message.server_cert.encode())],
        root_certificates=message.custom_ca.encode() or None,
        require_client_auth=message.client_verify,
    )


def _model_config(message: Any) -> ModelConfig:
    if not message.name or not message.base_path:
        raise ConfigError("Every model of the config needs a name and a base_path")
    if message.model_platform not in ("", _PLATFORM):
        raise ConfigError(
            f"Model {message.name} requests unsupported platform {message.model_platform}"
        )
    chosen = message.model_version_policy
    kind = chosen.WhichOneof("policy_choice")
    if kind == "specific":
        policy = VersionPolicy(named=frozenset(chosen.specific.versions))
    elif kind == "all":
        policy = VersionPolicy(newest=None)
    else:
        policy = VersionPolicy(newest=chosen.latest.num_versions or 1)
    labels = dict(message.version_labels)
    return ModelConfig(message.name, Path(message.base_path), policy, labels)
