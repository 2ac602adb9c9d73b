"""Logins and keys: what they protect, who gets in, and that nothing of them is told."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.ui.conftest import NO_RATE, RunFrontEnd
from tests.ui.front_end import FrontEnd
from tests.ui.pictures import DIM, error_of, picture
from tests.ui.scripted_server import ScriptedServer
from tests.ui.test_command import ui
from ui.access import Access
from ui.settings import Settings

LOGIN = ("dr. who", "pass:wörd #1")
KEY = "0123456789abcdef-key"


def secret(folder: Path, name: str, text: str, mode: int = 0o600) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def guarded(
    run_front_end: RunFrontEnd,
    _model_server: ScriptedServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FrontEnd]:
    """A front end with a login and a key."""
    folder = tmp_path_factory.mktemp("secrets")
    logins = secret(folder, "logins", f"# people\nother:word\n\n{':'.join(LOGIN)}\n")
    keys = secret(folder, "keys", f"another-key-of-another\n{KEY}\n")
    flags = ("--login-file", str(logins), "--api-key-file", str(keys), *NO_RATE)
    with run_front_end("--server", _model_server.address, *flags) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/docs", "/openapi.json", "/metrics", "/api/v1/model", "/page/assets/api.js"),
        *("/config", "/gradio_api/info", "/theme.css"),
    ],
)
def test_without_a_login_everything_is_closed(guarded: FrontEnd, path: str) -> None:
    response = guarded.http.get(path)
    assert error_of(response) == (401, "login_needed")
    assert response.headers["www-authenticate"].startswith("Basic realm=")
    assert response.headers["cache-control"] == "no-store"
    assert guarded.http.get(path, auth=LOGIN).status_code == 200


def test_the_health_checks_need_none(guarded: FrontEnd, model_server: ScriptedServer) -> None:
    assert guarded.http.get("/healthz").status_code == 200
    assert guarded.http.get("/readyz").status_code == 200


def test_a_login_or_a_key_opens(guarded: FrontEnd, model_server: ScriptedServer) -> None:
    files = {"file": picture(DIM)}
    assert error_of(guarded.http.post("/", files=files)) == (401, "login_needed")
    assert guarded.http.post("/", files=files, auth=LOGIN).status_code == 200
    for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
        assert guarded.http.post("/", files=files, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": ":".join(LOGIN).encode("utf-8").decode("latin-1")},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"},
        {"Authorization": "Digest x"},
        {"Authorization": httpx.BasicAuth("dr. who", "")._auth_header},
        {"Authorization": httpx.BasicAuth("# people", "")._auth_header},
    ],
    ids=lambda headers: str(headers)[:40],
)
def test_what_does_not_open(guarded: FrontEnd, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    assert guarded.http.get("/docs", headers=encoded).status_code == 401


def test_the_description_names_what_opens(guarded: FrontEnd) -> None:
    spec = guarded.http.get("/openapi.json", auth=LOGIN).json()
    assert set(spec["components"]["securitySchemes"]) == {"login", "key", "bearer"}
    assert "401" in spec["paths"]["/"]["post"]["responses"]
    assert "security" not in spec["paths"]["/healthz"]["get"]


def test_nothing_is_logged(guarded: FrontEnd) -> None:
    assert guarded.log.read_text() == ""


def test_guessing_ends(
    run_front_end: RunFrontEnd, model_server: ScriptedServer, tmp_path: Path
) -> None:
    keys = secret(tmp_path, "keys", KEY)
    flags = ("--api-key-file", str(keys))
    with run_front_end("--server", model_server.address, *flags) as running:
        for n in range(30):
            wrong = running.http.get("/docs", headers={"X-API-Key": f"guess {n}"})
            assert error_of(wrong) == (401, "login_needed")
            assert wrong.headers["www-authenticate"] == "Bearer"
        refused = running.http.get("/docs", headers={"X-API-Key": KEY})
        assert error_of(refused) == (429, "too_many_requests")
        assert running.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("text", "mode", "sentence"),
    [
        ("a:b\n", 0o640, "can be read by others. Run: chmod 600"),
        ("a:b\n", 0o604, "can be read by others. Run: chmod 600"),
        ("a:b\nsecret\n", 0o600, "Line 2 of .* is not NAME:PASSWORD."),
        ("a:\n", 0o600, "Line 1 of .* is not NAME:PASSWORD."),
        ("\n# nobody\n", 0o600, "holds no line that lets anybody in."),
    ],
)
def test_a_login_file_that_is_wrong(tmp_path: Path, text: str, mode: int, sentence: str) -> None:
    path = secret(tmp_path, "logins", text, mode)
    with pytest.raises(ValueError, match=sentence) as refused:
        Access.read(Settings(login_file=path))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("key", ["too short", "spaces in a long key", "umläute-umläute-umläute"])
def test_a_key_that_is_wrong(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match=r"Line 1 of .* is no key") as refused:
        Access.read(Settings(api_key_file=secret(tmp_path, "keys", key)))
    assert key not in str(refused.value)


def test_a_wrong_file_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    refused = ui("--login-file", str(secret(tmp_path, "logins", "a:b", 0o644)))
    assert refused.returncode == 2
    assert "chmod 600" in refused.stderr
    missing = ui("--api-key-file", str(tmp_path / "none"))
    assert missing.returncode == 2
    assert "No such file" in missing.stderr
    assert "Traceback" not in refused.stderr + missing.stderr


def test_sharing_wants_a_login() -> None:
    refused = ui("--share")
    assert refused.returncode == 2
    assert refused.stderr == (
        "--share publishes the page on the internet. Give --login-file, "
        "or --share-without-login if everybody may use it.\n"
    )


def test_sharing_warns_and_says_when_there_is_no_tunnel(free_port, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), nowhere)
    home = {"HF_HOME": str(tmp_path)}
    shared = ui("--share", "--share-without-login", "--port", str(free_port()), **proxies, **home)
    assert shared.returncode == 1
    for expected in (
        "third party's tunnel (gradio.live)",
        "Never send medical data",
        "Everyone who knows the address may use the page.",
        "The public address could not be opened.",
    ):
        assert expected in shared.stderr
    assert "Traceback" not in shared.stderr
    assert os.listdir(tmp_path) == []
