"""The local server's process: both ports, the models, an orderly end."""

import gc
import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import grpc
import tensorflow as tf
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving.errors import ServingError
from serving.local.batching import BatchingParameters, BatchScheduler
from serving.local.config import (
    ModelConfig,
    read_batching,
    read_credentials,
    read_models,
    read_monitoring,
)
from serving.local.grpc_api import SERVICES, add_services
from serving.local.loader import PollSettings
from serving.local.manager import ModelManager
from serving.local.metrics import Metrics
from serving.local.rest_api import RestApi
from serving.local.servable import Servable
from serving.settings import RunSettings

log = logging.getLogger(__name__)

#: A thread that waits for its batch costs little, but not nothing.
_MOST_THREADS: Final = 256
#: Connections to the REST port; a client that opens one and says nothing holds only that.
_MOST_CONNECTIONS: Final = 1000


class StartError(ServingError):
    """The server cannot start: a port is taken, there is no such base path, flags contradict."""


def run(settings: RunSettings) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and return.

    Raises:
        StartError: see there.
        ConfigError: a configuration file cannot be read.
    """
    models = _models(settings)
    batching = _batching(settings)
    tf.config.threading.set_intra_op_parallelism_threads(settings.tensorflow_intra_op_parallelism)
    tf.config.threading.set_inter_op_parallelism_threads(settings.tensorflow_inter_op_parallelism)

    stop = _signals()
    # What was imported stays: no later collection need walk it, 0.2 s without an answer each time.
    gc.freeze()
    metrics = Metrics()
    threads = _threads(batching)
    grpc_server = _grpc_server(settings, settings.grpc_max_threads or threads)
    scheduler = BatchScheduler(batching, metrics) if batching else None

    def load(name: str, path: Path, version: int) -> Servable:
        return Servable(name, path, version, metrics, scheduler)

    manager = ModelManager(
        PollSettings(
            poll_s=settings.file_system_poll_wait_seconds,
            retries=settings.max_num_load_retries,
            retry_s=settings.load_retry_interval_micros / 1e6,
        ),
        load,
        labels_ahead=settings.allow_version_labels_for_unavailable_models,
    )
    add_services(grpc_server, manager, metrics)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, grpc_server)
    _set_health(healthy, False)
    monitoring = settings.monitoring_config_file
    api = RestApi(
        manager,
        metrics,
        threads=settings.rest_api_num_threads or threads,
        queue=settings.max_queued_requests,
        timeout_s=settings.rest_api_timeout_in_ms / 1e3,
        max_body_bytes=settings.max_request_bytes,
        metrics_path=None if monitoring is None else read_monitoring(monitoring),
    )
    rest_server, rest_thread = _rest_server(settings, api)
    grpc_server.start()
    rest_thread.start()
    log.info("gRPC on %s:%d, REST on %s:%d", settings.host, settings.port, *_rest(settings))
    manager.start(models, lambda: _set_health(healthy, True))
    if settings.model_config_file and settings.model_config_file_poll_wait_seconds:
        manager.watch_config(
            settings.model_config_file, settings.model_config_file_poll_wait_seconds
        )
    stop.recv(1)

    log.info("Ending: answering what is in flight")
    healthy.enter_graceful_shutdown()
    rest_server.should_exit = True
    grpc_server.stop(settings.grace_seconds).wait()
    rest_thread.join(settings.grace_seconds)
    manager.stop(settings.grace_seconds)
    if scheduler is not None:
        scheduler.stop(settings.grace_seconds)


def _signals() -> socket.socket:
    """A socket with a byte to read once SIGTERM or SIGINT has come.

    A flag will not do: a signal between the look at it and the sleep would be slept through.
    """
    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    signal.set_wakeup_fd(pythons.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return ours


def _models(settings: RunSettings) -> list[ModelConfig]:
    if settings.model_config_file is not None:
        return read_models(settings.model_config_file)
    if settings.model_base_path is None:
        raise StartError(
            "Give --model-base-path the folder that holds the version directories, for example "
            "models/brain_tumor, or --model-config-file a file that lists models."
        )
    if not settings.model_base_path.is_dir():
        raise StartError(
            f"{settings.model_base_path} is not a folder. Give --model-base-path the folder that "
            "holds the version directories, for example models/brain_tumor."
        )
    return [ModelConfig(settings.model_name, settings.model_base_path)]


def _batching(settings: RunSettings) -> BatchingParameters | None:
    file = settings.batching_parameters_file
    if not settings.enable_batching:
        if file is not None:
            raise StartError("--batching-parameters-file needs --enable-batching.")
        return None
    return BatchingParameters() if file is None else read_batching(file)


def _threads(batching: BatchingParameters | None) -> int:
    """Requests answered at a time, on each port.

    A request holds its thread while its batch fills and runs: while some batches run, as many more
    must be able to fill, or each would begin with the one request that happened to find a thread.
    """
    threads = 4 * (os.cpu_count() or 1)
    if batching is None:
        return threads
    filling = 2 * batching.num_batch_threads * batching.max_batch_size
    return max(threads, min(filling, _MOST_THREADS))


def _set_health(healthy: health.HealthServicer, ready: bool) -> None:
    status = health_pb2.HealthCheckResponse
    for service in ("", *SERVICES):
        healthy.set(service, status.SERVING if ready else status.NOT_SERVING)


def _rest(settings: RunSettings) -> tuple[str, int]:
    return settings.host, settings.rest_api_port


def _grpc_server(settings: RunSettings, threads: int) -> grpc.Server:
    server = grpc.server(
        ThreadPoolExecutor(threads, "grpc"),
        options=(
            ("grpc.max_receive_message_length", settings.max_request_bytes),
            ("grpc.max_send_message_length", -1),
            # Without this a second server would share the port silently.
            ("grpc.so_reuseport", 0),
        ),
        # Beyond this, RESOURCE_EXHAUSTED at once.
        maximum_concurrent_rpcs=threads + settings.max_queued_requests,
    )
    address = f"{settings.host}:{settings.port}"
    try:
        if settings.ssl_config_file is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, read_credentials(settings.ssl_config_file))
    except RuntimeError:
        bound = 0
    if not bound:
        raise _taken(settings.host, settings.port, "--port")
    return server


def _rest_server(settings: RunSettings, api: RestApi) -> tuple[uvicorn.Server, threading.Thread]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, since asyncio turns off Nagle's delay only where it reads TCP here: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(_rest(settings))
    except OSError as error:
        raise _taken(settings.host, settings.rest_api_port, "--rest-api-port") from error
    config = uvicorn.Config(
        api.app,
        access_log=False,  # nothing of a request is logged
        log_level="warning",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=int(settings.grace_seconds),
    )
    server = uvicorn.Server(config)
    # Signals are ours: uvicorn only installs handlers on the main thread.
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="rest", daemon=True
    )
    return server, thread


def _taken(host: str, port: int, flag: str) -> StartError:
    return StartError(f"Cannot listen on {host}:{port}; is it in use? Choose another {flag}.")
