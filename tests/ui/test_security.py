"""Hostile requests to every route, and the search for what was uploaded: on disk, in logs, elsewhere."""

import http.client
import io
import os
import secrets
import socket
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.conftest import ROOT, eventually
from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import BRIGHT, picture
from tests.ui.scripted_server import ScriptedServer

GRADIO = (
    *("/gradio_api/file=", "/gradio_api/file/", "/gradio_api/proxy=", "/gradio_api/stream/"),
    *("/gradio_api/theme.css/", "/gradio_api/call/", "/gradio_api/deep_link/", "/file=", "/file/"),
    *(
        "/proxy=",
        "/static/",
        "/assets/",
        "/svelte/",
        "/page/assets/",
        "/page/texts/",
        "/custom_component/",
    ),
)
UP = ("../", "..%2f", "%2e%2e/", "..%5c", "..%252f", "....//", "/", "//")
FILES = (
    ("etc/passwd", "root:"),
    ("proc/self/environ", "PATH="),
    (f"{str(ROOT)[1:]}/ui/access.py", "import"),
)


def routes(api: httpx.Client) -> list[str]:
    """All that the page serves: those described, where parameters may be, and Gradio's."""
    paths = api.get("/openapi.json").json()["paths"]
    return [path.split("{")[0].rstrip("/") + "/" for path in paths] + list(GRADIO)


def raw(front_end: FrontEnd, method: str, path: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Ask for a path as it stands: clients such as httpx would mend it."""
    address = urlsplit(front_end.address)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_no_route_hands_out_a_file_of_the_machine(front_end: FrontEnd) -> None:
    asked = 0
    for route in routes(front_end.http):
        for step in UP:
            for file, content in FILES:
                status, _, body = raw(front_end, "GET", route + 8 * step + file)
                assert status < 500, route
                assert content.encode() not in body, route
                asked += 1
    assert asked > 500


@pytest.mark.parametrize("path", ["queue/data?session_hash=none", "call/none/none"])
def test_a_session_that_nobody_knows_ends_in_good_order(front_end: FrontEnd, path: str) -> None:
    before = front_end.log.read_text()
    raw(front_end, "GET", f"/gradio_api/{path}")
    assert "Traceback" not in front_end.log.read_text().removeprefix(before)


@pytest.fixture
def canary() -> Iterator[tuple[str, list[bytes]]]:
    """An address on this machine, and what came there."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            heard.append(b"somebody")
            connection.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/x.png", heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_no_route_fetches_an_address_for_the_caller(
    front_end: FrontEnd, canary: tuple[str, list[bytes]]
) -> None:
    address, heard = canary
    api = httpx.Client(base_url=front_end.address, headers={"Connection": "close"}, timeout=60)
    described = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
    elsewhere = {"X-Forwarded-Host": urlsplit(address).netloc, "Host": urlsplit(address).netloc}
    for route in routes(api):
        for path in (route + address, route.rstrip("/") + f"?url={address}&file={address}"):
            raw(front_end, "GET", path)
        for value in (address, described):
            event = {"data": [value], "fn_index": 0, "session_hash": "s"}
            assert api.post(route.rstrip("/"), json=event).status_code < 500, route
            for name in ("predict", "queue/join", "call/predict"):
                api.post(f"/gradio_api/{name}", json=event)
        api.get(route, headers=elsewhere)
        api.post(route.rstrip("/") or "/", files={"file": (address, address.encode())})
        api.post(route.rstrip("/") or "/", data={"file": address})
    api.close()
    assert heard == []
    # The canary does sing.
    with pytest.raises(httpx.TransportError):
        httpx.get(address)
    eventually(lambda: heard, "the canary heard somebody")


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nX-Injected: yes\r\n\r\n<b>",
        "a\nX-Injected: yes",
        'a"; filename="b.png\r\nX-Injected: yes',
        "../../../../tmp/escaped.png",
        "C:\\Windows\\escaped.png",
        "a\0.png",
        "x" * 5000,
        "\u202egnp.exe",
    ],
)
@pytest.mark.parametrize("route", ["/", "/upload", "/api/v1/analyze", "/api/v1/report"])
def test_a_file_name_gets_into_no_header_and_no_path(
    front_end: FrontEnd, route: str, name: str
) -> None:
    head = '--cut\r\nContent-Disposition: form-data; name="file"; filename="' + name + '"\r\n\r\n'
    body = head.encode() + picture(BRIGHT) + b"\r\n--cut--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=cut"}
    answer = front_end.http.post(route, content=body, headers=kind)
    assert answer.status_code < 500
    assert "x-injected" not in answer.headers
    assert not Path("/tmp/escaped.png").exists()  # noqa: S108
    assert "escaped" not in front_end.log.read_text()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/model/1%0d%0aX-Injected:%20yes",
        "/api/v1/model/%0d%0a%0d%0a<script>",
        "/docs?next=%0d%0aX-Injected:%20yes",
        "/%0d%0aX-Injected:%20yes",
        "/page/assets/%0d%0aX-Injected:%20yes",
        "//elsewhere.example/%2f..",
        "/gradio_api/call/%0d%0aX-Injected:%20yes",
    ],
)
def test_a_path_gets_into_no_header(front_end: FrontEnd, path: str) -> None:
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        status, headers, body = raw(front_end, method, path)
        assert status < 500
        assert headers["X-Injected"] is None
        assert "elsewhere" not in headers.get("Location", "")
        assert b"<script>" not in body or b"<!doctype" in body[:200].lower()


def test_a_length_stated_twice_is_refused_and_ends_the_connection(front_end: FrontEnd) -> None:
    """Whoever stands before the page might have gone by the other one; also: tests/docker."""
    address = urlsplit(front_end.address)
    head = (
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), address.port), 60) as connection:
        connection.sendall(head + b"0\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length or a Transfer-Encoding, not both" in received


def marked_files(marker: str) -> list[tuple[str, tuple[str, bytes]]]:
    """Uploads of every kind that hold a marker: a large picture, an archive, what is no scan."""
    pixels = (marker.encode() * (1500 * 1500 * 3 // len(marker) + 1))[: 1500 * 1500 * 3]
    note = PngInfo()
    note.add_text("Patient", marker)
    encoded = io.BytesIO()
    Image.frombytes("RGB", (1500, 1500), pixels).save(
        encoded, "PNG", pnginfo=note, compress_level=0
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"../../../../tmp/{marker}.png", encoded.getvalue())
    broken = marker.encode() * 1000
    contents = (encoded.getvalue(), archive.getvalue(), broken)
    return [("file", (f"{marker}-{index}.png", each)) for index, each in enumerate(contents)]


def found_on_disk(marker: str, since: Path, process: int) -> list[str]:
    """Files changed since then with the marker in content or name, and open ones, even if deleted."""
    places = [
        path
        for path in (ROOT, "/tmp", "/var/tmp", "/dev/shm", "/run", Path.home())  # noqa: S108
        if Path(path).is_dir()
    ]
    newer = ["find", *map(str, places), "-xdev", "-newer", str(since), "-type", "f"]
    named = subprocess.run([*newer, "-name", f"*{marker}*"], capture_output=True, text=True).stdout
    holding = subprocess.run(
        [*newer, "-size", "-100M", "-exec", "grep", "-laF", marker, "{}", "+"],
        capture_output=True,
        text=True,
    ).stdout
    opened = []
    for link in Path(f"/proc/{process}/fd").glob("*"):
        try:
            if link.is_file() and marker.encode() in link.read_bytes():
                opened.append(os.readlink(link))
        except OSError:
            continue
    return [*named.split(), *holding.split(), *opened]


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    since, marker = tmp_path / "since", secrets.token_hex(16)
    since.touch()
    os.utime(since, (since.stat().st_mtime - 2,) * 2)
    (tmp_path / "copy").write_text(f"some {marker} more")
    with (tmp_path / "gone").open("w+") as file:
        file.write(marker)
        file.flush()
        (tmp_path / "gone").unlink()
        found = found_on_disk(marker, since, os.getpid())
    assert str(tmp_path / "copy") in found
    assert any("gone (deleted)" in one for one in found)


def test_what_was_uploaded_is_found_nowhere(
    run_front_end: RunFrontEnd, model_server: ScriptedServer, tmp_path: Path
) -> None:
    marker, since = secrets.token_hex(16), tmp_path / "since"
    since.touch()
    files = marked_files(marker)
    with run_front_end("--server", model_server.address, "--timeout-s", "120", *NO_RATE) as running:
        port = urlsplit(running.address).port
        process = _listening(port)
        model_server.behaviour = "hangs"
        waiting = threading.Thread(
            target=lambda: httpx.post(f"{running.address}/api/v1/analyze", files=files, timeout=300)
        )
        waiting.start()
        eventually(lambda: model_server.hung, "a scan is being answered")
        assert found_on_disk(marker, since, process) == []
        model_server.behaviour = "answers"
        model_server.release.set()
        waiting.join()
        for route in ("/", "/upload", "/api/v1/report"):
            for file in files:
                running.http.post(route, files=[file])
        # Somebody else, afterwards.
        for path in ("/", "/metrics", "/readyz", "/api/v1/model", "/docs", "/openapi.json"):
            assert marker not in httpx.get(running.address + path, timeout=60).text
        other = running.http.get("/gradio_api/queue/data?session_hash=another", timeout=60).text
        assert marker not in other
        assert found_on_disk(marker, since, process) == []
    assert found_on_disk(marker, since, process) == []
    assert marker not in running.log.read_text()


def test_half_an_upload_is_on_no_disk(front_end: FrontEnd, tmp_path: Path) -> None:
    marker, since = secrets.token_hex(16), tmp_path / "since"
    since.touch()
    request = httpx.Request(
        "POST", f"{front_end.address}/api/v1/analyze", files=marked_files(marker)[:1]
    )
    body = request.read()
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(["POST /api/v1/analyze HTTP/1.1", *lines, "", ""])
    address = urlsplit(front_end.address)
    with socket.create_connection((str(address.hostname), address.port), 60) as connection:
        connection.sendall(head.encode() + body[:-1000])
        eventually(lambda: _held(front_end) >= len(body) - 1000, "the page holds the upload")
        assert found_on_disk(marker, since, front_end.pid) == []


def _held(front_end: FrontEnd) -> float:
    """Bytes of uploads that the page holds, as its metrics tell."""
    lines = front_end.http.get("/metrics").text.splitlines()
    return next(
        float(line.split()[1]) for line in lines if line.startswith("brain_tumor_ui_upload_bytes ")
    )


def _listening(port: int | None) -> int:
    """The process that listens on a port."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"ui" in command and str(port).encode() in command:
            return int(folder.name)
    raise AssertionError(f"nobody listens on {port}")
