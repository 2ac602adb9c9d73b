"""Settings of the serving programs: flags and environment variables (`SERVING_…`) of the same name.

Flags have TensorFlow Serving's own names wherever it has them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from serving.client import DEFAULT_ADDRESS, DEFAULT_TIMEOUT_S
from serving.contract import MODEL_NAME

_Port = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=65535))]
_Count = Annotated[int, Parameter(validator=validators.Number(gte=0))]
_Clients = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=256))]
_Positive = Annotated[float, Parameter(validator=validators.Number(gt=0))]
_NotNegative = Annotated[float, Parameter(validator=validators.Number(gte=0))]
_AtLeastOne = Annotated[int, Parameter(validator=validators.Number(gte=1))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What the local server depends on. Names and meanings are TensorFlow Serving's where it has them."""

    model_base_path: Path | None = None
    """Holds one directory a version, for example `models/brain_tumor`."""

    model_name: str = MODEL_NAME
    """Name that clients ask for."""

    model_config_file: Path | None = None
    """ModelServerConfig as text, instead of the two flags above: models, version policies, labels."""

    model_config_file_poll_wait_seconds: _NotNegative = 0.0
    """Seconds between two looks at that file; 0 reads it only once."""

    allow_version_labels_for_unavailable_models: bool = False
    """Let HandleReloadConfigRequest give a new label to a version that is not available yet. In a file
    labels may do so in any case: they hold once all of their versions serve."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` lets other machines in, and there is no authentication."""

    port: _Port = 8500
    """gRPC port."""

    rest_api_port: _Port = 8501
    """REST port."""

    ssl_config_file: Path | None = None
    """SSLConfig as text, for TLS on gRPC; REST has none."""

    monitoring_config_file: Path | None = None
    """MonitoringConfig as text; turns on Prometheus metrics on the REST port."""

    enable_batching: bool = False
    """Merge requests of several clients into one run of the model."""

    batching_parameters_file: Path | None = None
    """BatchingParameters as text; see `serving/config/`."""

    file_system_poll_wait_seconds: _Positive = 1.0
    """Seconds between two looks for new versions."""

    max_num_load_retries: _Count = 5
    """How often a version that cannot be loaded is tried again, while its files stay the same."""

    load_retry_interval_micros: _Count = 60_000_000
    """Microseconds between two such tries."""

    grpc_max_threads: _Count = 0
    """gRPC requests answered at a time; 0 means 4 for each core, and with batching enough to fill batches."""

    rest_api_num_threads: _Count = 0
    """REST requests answered at a time; 0 as above."""

    rest_api_timeout_in_ms: _AtLeastOne = 30_000
    """Longest time that a REST request may take; a gRPC request brings its own deadline."""

    max_queued_requests: _Count = 128
    """Requests that may wait for a thread, on each port; more are refused as RESOURCE_EXHAUSTED."""

    max_request_bytes: _AtLeastOne = 64 * 2**20
    """Largest request. A batch of 32 images is 5 MB, 6.5 MB as base64, some 20 MB as lists."""

    tensorflow_intra_op_parallelism: _Count = 0
    """Threads within one operation; 0 lets TensorFlow choose."""

    tensorflow_inter_op_parallelism: _Count = 0
    """Operations run at a time; 0 lets TensorFlow choose."""

    grace_seconds: _NotNegative = 10.0
    """After SIGTERM, seconds that requests in flight are given to end."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """What is put under load; servers are started for it on free ports of this machine."""

    model_base_path: Path = Path("models/brain_tumor")
    """Base path whose newest version is measured; a soak swaps between the two newest."""

    model: str = MODEL_NAME
    """Name of the model on the servers."""

    samples: Path = Path("data/samples")
    """Folder of folders with scans to ask about."""

    batching_parameters_file: Path | None = None
    """BatchingParameters as text; by default those in `serving/config/` for this number of cores."""

    out: Path = Path("reports")
    """Folder for what is found."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BenchSettings(LoadSettings):
    """What the benchmark measures."""

    seconds: _Positive = 190.0
    """Time for the rounds, in seconds; starting servers and the tails take about 70 more."""

    turn_s: _Positive = 0.8
    """How long each way of asking is under load in each round."""

    tail_s: _Positive = 8.0
    """How long each of the four loads at 70 % of saturation lasts."""

    clients: Annotated[tuple[_Clients, _Clients, _Clients], Parameter(negative=())] = (1, 8, 32)
    """Clients at once, growing: one, enough for all cores, enough to fill batches."""

    original: bool = True
    """Measure the original's way, a web application with VGG19, as well."""

    tfs: str | None = None
    """`HOST:PORT` of a TensorFlow Serving server, gRPC, that serves the same version."""

    def __post_init__(self) -> None:
        if list(self.clients) != sorted(set(self.clients)):
            raise ValueError("clients must grow, for example 1 8 32.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SoakSettings(LoadSettings):
    """For how long versions are swapped under load."""

    minutes: _Positive = 10.0
    """How long at least; until all swaps are done."""

    swaps: Annotated[int, Parameter(validator=validators.Number(gte=2, lte=1000))] = 10
    """How often a version is published and rolled back again."""

    load: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=1))] = 0.7
    """Share of the rate that the server is found to manage."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """Whom to ask, and how to answer."""

    server: str = DEFAULT_ADDRESS
    """`HOST:PORT` for gRPC, `http://HOST:PORT` for REST; with TLS `grpcs://…` and `https://…`."""

    ca_certificate: Path | None = None
    """PEM file of the authorities to trust over TLS; by default those that the system trusts."""

    model: str = MODEL_NAME
    """Name of the model on the server."""

    version: int | None = None
    """Version to ask; by default the newest."""

    version_label: str | None = None
    """Ask the version that bears this label, for example `stable`."""

    timeout_s: _Positive = DEFAULT_TIMEOUT_S
    """Longest wait for the answer to up to 32 scans, in seconds."""

    json: Annotated[bool, Parameter(negative=())] = False
    """Print a JSON list instead of a table."""
