"""What the outside may reach: closed endpoints, safe headers, other origins, a path behind a proxy."""

from base64 import b64encode

import httpx
import pytest
from gradio_client import Client

from tests.ui.conftest import RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import BRIGHT, DIM, picture, send
from tests.ui.reverse_proxy import reverse_proxy
from tests.ui.scripted_server import ScriptedServer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=http://127.0.0.1:1/"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1:1/"),
        ("GET", "/gradio_api/deep_link?session_hash=x"),
        ("GET", "/gradio_api//deep_link?session_hash=x"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/gradio_api/openapi.json"),
        ("GET", "/gradio_api/stream/x/1/1/playlist-file"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/login"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
        ("GET", "/static/..%2f..%2f..%2fpage.py"),
        ("GET", "/page/assets/..%2f..%2fpage.py"),
        ("GET", "/page/assets/../../settings.py"),
    ],
)
def test_what_is_not_needed_is_closed(api: httpx.Client, method: str, path: str) -> None:
    response = api.request(method, path)
    assert response.status_code in (403, 404)
    assert "import" not in response.text


def test_the_page_is_at_the_root_with_safe_headers(api: httpx.Client) -> None:
    response = api.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert "camera=(self)" in response.headers["permissions-policy"]
    assert "cheng_" not in response.text


def test_answers_are_kept_nowhere_and_assets_may_be(api: httpx.Client) -> None:
    for answer in (
        send(api, picture(DIM)),
        send(api, b"", "/api/v1/analyze"),
        api.get("/api/v1/model"),
        api.get("/"),
        api.get("/page/assets/none.js"),
    ):
        assert answer.headers["cache-control"] == "no-store"
    assert "no-store" not in api.get("/page/assets/api.js").headers.get("cache-control", "")


@pytest.mark.parametrize(
    "path", ["/", "/upload", "/api/v1/analyze", "/healthz", "/gradio_api/startup-events"]
)
def test_cors_is_closed(api: httpx.Client, path: str) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for response in (api.get(path, headers=headers), api.options(path, headers=headers)):
        assert "access-control-allow-origin" not in response.headers


@pytest.fixture(scope="module")
def published(run_front_end: RunFrontEnd, _model_server: ScriptedServer):
    """A front end for another origin, and behind a proxy."""
    flags = ("--cors-origins", "https://clinic.example", "--root-path", "/scans")
    with run_front_end("--server", _model_server.address, *flags) as running:
        yield running


def test_cors_opens_for_the_origins_named(
    published: FrontEnd, model_server: ScriptedServer
) -> None:
    named, other = "https://clinic.example", "https://evil.example"
    for origin, allowed in ((named, named), (other, None)):
        headers = {"Origin": origin}
        response = published.http.post("/", files={"file": picture(DIM)}, headers=headers)
        assert response.status_code == 200
        assert response.headers.get("access-control-allow-origin") == allowed
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-api-key",
        }
        preflight = published.http.options("/api/v1/analyze", headers=headers | asked)
        assert preflight.headers.get("access-control-allow-origin") == allowed
        assert preflight.status_code == (200 if allowed else 400)


def test_a_proxy_may_publish_it_under_a_path(
    published: FrontEnd, model_server: ScriptedServer
) -> None:
    with (
        reverse_proxy(published.address, "/scans") as address,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        assert f'"root":"{address}"' in http.get("/").text
        assert http.get("/openapi.json").json()["servers"] == [{"url": "/scans"}]
        assert http.get("/page/assets/api.js").text.startswith("//")
        assert http.get("/page/texts/en.json").status_code == 200
        assert http.get("/api/v1/model").json()["name"] == "brain_tumor"
        assert send(http, picture(BRIGHT), "/api/v1/analyze").json()["refused"] == []
        assert http.get("/gradio_api/file=/etc/passwd").status_code == 404
        client = Client(address, verbose=False, analytics_enabled=False, download_files=False)
        image = b64encode(picture(BRIGHT)).decode()
        report = client.predict(image=image, api_name="/analyze")
        assert report["results"][0]["slices"][0]["decision"]["label"] == "tumor"
        client.close()
