"""TLS: the local server's gRPC port with any client, and ours against it and against HTTPS."""

import ssl
import subprocess
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.client import Client
from serving.errors import ContractError, ServerUnavailable
from tests.serving.scripted import CLIENTS, open_client
from tests.serving.test_predict_command import predict

IMAGES = np.full((2, 224, 224, 3), 128, np.uint8)


@dataclass(frozen=True)
class Certificate:
    """A self-signed one for 127.0.0.1, and its key."""

    key: Path
    certificate: Path


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    one = Certificate(folder / "key.pem", folder / "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=model server", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(one.key), "-out", str(one.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return one


@pytest.fixture(scope="module")
def secured(serve, tiny_models, own, tmp_path_factory):
    """A local server with TLS on gRPC."""
    config = tmp_path_factory.mktemp("config") / "ssl.config"
    config.write_text(f"server_key: {_quoted(own.key)} server_cert: {_quoted(own.certificate)}")
    with serve(tiny_models, "--ssl_config_file", str(config)) as server:
        yield server


@pytest.fixture
def https(own):
    """The address of an HTTPS server that serves version 1, so it says."""
    status = b'{"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}'

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(status)

        def log_message(self, *_):
            pass

    class Server(HTTPServer):
        def handle_error(self, *_):  # a client that does not trust it hangs up
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _quoted(path: Path) -> str:
    return "".join(f'"{line}\\n"\n' for line in path.read_text().splitlines())


def test_any_grpc_client_with_the_certificate_is_answered_and_none_without(secured, own):
    def ask(channel):
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(), timeout=60).status

    credentials = grpc.ssl_channel_credentials(own.certificate.read_bytes())
    with grpc.secure_channel(secured.grpc, credentials) as channel:
        assert ask(channel) == health_pb2.HealthCheckResponse.SERVING
    with grpc.insecure_channel(secured.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        ask(channel)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("kind", CLIENTS)
def test_our_clients_are_answered(secured, own, kind):
    address = f"grpcs://{secured.grpc}"
    with open_client(kind, address, ca_certificate=own.certificate) as client:
        answer = client.predict(IMAGES)
    assert [one.probability for one in answer.predictions] == pytest.approx([128 / 255] * 2)


@pytest.mark.parametrize("kind", CLIENTS)
def test_our_clients_are_answered_over_https(https, own, kind):
    with open_client(kind, https, ca_certificate=own.certificate) as client:
        assert client.status() == {1: "AVAILABLE"}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("way", ["grpcs", "https"])
def test_a_certificate_from_nobody_that_is_trusted_is_named_as_the_reason(
    secured, https, kind, way
):
    address = https if way == "https" else f"grpcs://{secured.grpc}"
    with (
        open_client(kind, address) as client,
        pytest.raises(ContractError, match=r"from nobody that we trust.*--ca-certificate"),
    ):
        client.status()


@pytest.mark.parametrize("way", ["grpcs", "https"])
def test_a_server_without_tls_is_named_as_the_reason(tiny_server, way):
    place = tiny_server.grpc if way == "grpcs" else tiny_server.rest.removeprefix("http://")
    with (
        Client(f"{way}://{place}") as client,
        pytest.raises(ContractError, match="does not speak TLS"),
    ):
        client.status()


def test_nothing_is_sent_in_the_clear_to_a_server_that_wants_tls(secured):
    with Client(secured.grpc, retries=0) as client, pytest.raises(ServerUnavailable):
        client.predict(IMAGES)


def test_the_command_line(secured, own, samples):
    address, scan = f"grpcs://{secured.grpc}", samples["yes"][0]
    done = predict("--server", address, "--ca-certificate", own.certificate, "--json", scan)
    assert done.returncode == 0, done.stderr
    assert '"version": 1' in done.stdout
    done = predict("--server", address, "--ca-certificate", "nowhere.pem", scan)
    assert (done.returncode, done.stderr) == (
        1,
        "python -m serving: nowhere.pem: No such file or directory\n",
    )


def test_a_certificate_that_is_none_or_of_no_use_is_refused(own):
    with pytest.raises(ValueError, match=r"key.pem holds no certificate in PEM format"):
        Client("grpcs://127.0.0.1:8500", ca_certificate=own.key)
    with pytest.raises(ValueError, match=r"of no use to 127.0.0.1:8500, which is not encrypted"):
        Client("127.0.0.1:8500", ca_certificate=own.certificate)
