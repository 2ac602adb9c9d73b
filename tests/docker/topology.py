"""What compose.yaml starts, as plain processes on this machine with the same files, flags and variables."""

import json
import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import ROOT, RunningServer, Serve, ended_afterwards, eventually
from tests.docker.tools import DOCKER, compose, instructions, tool
from tests.ui.front_end import running_front_end

#: Smaller than the default, so that it is reached with a small body.
MAX_BODY = 2**20


@dataclass(frozen=True)
class Topology:
    """The running parts.

    Attributes:
        serving: the model server, in place of TensorFlow Serving.
        page: a client of the page itself.
        proxy: a client of the proxy, over TLS, that trusts its authority.
        plain: address of the proxy without TLS.
        prometheus: a client of Prometheus.
    """

    serving: RunningServer
    page: httpx.Client
    proxy: httpx.Client
    plain: str
    prometheus: httpx.Client


@contextmanager
def running(
    serve: Serve, models: Path, free_port: Callable[[], int], folder: Path
) -> Iterator[Topology]:
    """Run server, page, proxy, probe and Prometheus; all end with the context."""
    page, probe, prometheus = (free_port() for _ in range(3))
    probe_command = [tool("prometheus-blackbox-exporter")]
    probe_command += ["--config.file", str(DOCKER / "monitoring" / "blackbox.yml")]
    probe_command += [f"--web.listen-address=127.0.0.1:{probe}"]
    with (
        serve(models, *serving_flags()) as serving,
        running_front_end(page, folder / "page.log", "--server", serving.grpc) as front_end,
        caddy(f"127.0.0.1:{page}", free_port, folder) as (proxy, plain),
        program(probe_command, folder / "probe.log"),
    ):
        addresses = {
            "serving:8501": serving.rest.removeprefix("http://"),
            "ui:7860": f"127.0.0.1:{page}",
            "probe:9115": f"127.0.0.1:{probe}",
        }
        command = _prometheus(addresses, f"127.0.0.1:{prometheus}", folder)
        with (
            program(command, folder / "prometheus.log"),
            httpx.Client(base_url=f"http://127.0.0.1:{prometheus}", timeout=60) as metrics,
        ):
            eventually(lambda: _answers(metrics, "/-/ready"), "Prometheus was ready")
            yield Topology(serving, front_end.http, proxy, plain, metrics)


@contextmanager
def caddy(
    page: str, free_port: Callable[[], int], folder: Path
) -> Iterator[tuple[httpx.Client, str]]:
    """Run the proxy in front of a page's HOST:PORT: a client over TLS, and its address without TLS."""
    secure, plain, admin = (free_port() for _ in range(3))
    variables = {
        "ADMIN_PORT": str(admin),
        "HTTP_PORT": str(plain),
        "HTTPS_PORT": str(secure),
        "MAX_BODY": str(MAX_BODY),
        "UPSTREAM": page,
        "XDG_CONFIG_HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
    }
    command = [tool("caddy"), "run", "--adapter", "caddyfile"]
    with program(
        [*command, "--config", str(DOCKER / "Caddyfile")], folder / "proxy.log", variables
    ):
        authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        eventually(authority.exists, "the proxy made its authority")
        trusting = ssl.create_default_context(cafile=str(authority))
        with httpx.Client(
            base_url=f"https://localhost:{secure}", verify=trusting, timeout=60
        ) as client:
            eventually(lambda: _answers(client, "/healthz"), "the proxy answered")
            yield client, f"http://localhost:{plain}"


def serving_flags() -> list[str]:
    """Flags of the model server's container, from image and compose file, with this machine's paths."""
    (entry,) = (text for name, text in instructions("serving") if name == "ENTRYPOINT")
    flags = json.loads(entry)[2:] + compose()["serving"]["command"]
    flags = [flag.replace("/etc/serving", str(ROOT / "serving" / "config")) for flag in flags]
    given = re.compile(r"--(port|rest_api_port|model_name|model_base_path)=")  # by `serve`
    return [flag for flag in flags if not given.match(flag)]


def _prometheus(addresses: Mapping[str, str], listen: str, folder: Path) -> list[str]:
    """Command for Prometheus on our configuration, with this machine's addresses, and in a hurry."""
    monitoring = DOCKER / "monitoring"
    text = (monitoring / "prometheus.yml").read_text()
    for there, here in addresses.items():
        text = text.replace(there, here)
    text = text.replace("alerts.yml", str(monitoring / "alerts.yml"))
    text, hurried = re.subn(r"_interval: 15s", "_interval: 1s", text)
    assert hurried == 2
    config = folder / "prometheus.yml"
    config.write_text(text)
    command = [tool("prometheus"), f"--config.file={config}", f"--web.listen-address={listen}"]
    return [*command, f"--storage.tsdb.path={folder / 'metrics'}"]


@contextmanager
def program(
    command: Sequence[str], log: Path, variables: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a program, SIGTERM at the end; it must not have ended before."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=os.environ | dict(variables or {}), stdout=output, stderr=output
        ) as process,
        ended_afterwards(process),
    ):
        yield
        assert process.poll() is None, log.read_text()


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False
