"""The local server's process: both ports, the version watcher, an orderly end."""

import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Final

import grpc
import tensorflow as tf
import uvicorn

from serving.errors import ServingError
from serving.local.grpc_api import add_services
from serving.local.loader import ModelLoader
from serving.local.rest_api import create_app
from serving.settings import RunSettings

log = logging.getLogger(__name__)

_GRPC_OPTIONS: Final = (
    # As TensorFlow Serving has it: no limit on what the server receives.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Without this a second server would share the port silently.
    ("grpc.so_reuseport", 0),
)


class StartError(ServingError):
    """The server cannot start: a port is taken, or there is no such base path."""


def run(settings: RunSettings) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and return.

    Raises:
        StartError: see there.
    """
    if not settings.model_base_path.is_dir():
        raise StartError(
            f"{settings.model_base_path} is not a folder. Give --model-base-path the folder that "
            "holds the version directories, for example models/brain_tumor."
        )
    tf.config.threading.set_intra_op_parallelism_threads(settings.tensorflow_intra_op_parallelism)
    tf.config.threading.set_inter_op_parallelism_threads(settings.tensorflow_inter_op_parallelism)

    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    loader = ModelLoader(
        settings.model_name, settings.model_base_path, settings.file_system_poll_wait_seconds
    )
    grpc_server = _grpc_server(settings, loader)
    rest_server, rest_thread = _rest_server(settings, loader)
    grpc_server.start()
    rest_thread.start()
    log.info("gRPC on %s:%d, REST on %s:%d", settings.host, settings.port, *_rest(settings))
    loader.start()
    stop.wait()

    log.info("Ending: answering what is in flight")
    rest_server.should_exit = True
    grpc_server.stop(settings.grace_seconds).wait()
    rest_thread.join(settings.grace_seconds)
    loader.stop(settings.grace_seconds)


def _rest(settings: RunSettings) -> tuple[str, int]:
    return settings.host, settings.rest_api_port


def _grpc_server(settings: RunSettings, loader: ModelLoader) -> grpc.Server:
    threads = settings.grpc_max_threads or 4 * (os.cpu_count() or 1)
    server = grpc.server(ThreadPoolExecutor(threads, "grpc"), options=_GRPC_OPTIONS)
    add_services(server, loader)
    try:
        bound = server.add_insecure_port(f"{settings.host}:{settings.port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise _taken(settings.host, settings.port, "--port")
    return server


def _rest_server(
    settings: RunSettings, loader: ModelLoader
) -> tuple[uvicorn.Server, threading.Thread]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, since asyncio turns off Nagle's delay only where it reads TCP here: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(_rest(settings))
    except OSError as error:
        raise _taken(settings.host, settings.rest_api_port, "--rest-api-port") from error
    config = uvicorn.Config(
        create_app(loader),
        access_log=False,  # nothing of a request is logged
        log_level="warning",
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
