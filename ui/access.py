"""Who may use page and API: logins for people, keys for programs, both optional."""

import binascii
import hmac
import stat
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from limits import parse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.failures import AnalysisError, login_needed, too_many_requests
from ui.rate_limit import Limiter
from ui.replies import error_reply
from ui.settings import Settings

#: What an orchestrator asks, which has no login.
OPEN: Final = ("/healthz", "/readyz")
KEY_HEADER: Final = "X-API-Key"
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="Brain-tumour classifier", charset="UTF-8"'}
#: Wrong passwords and keys from one address.
_GUESSES: Final = "30/minute"
_MIN_KEY: Final = 16


class Access:
    """The logins and keys that open; their digests, for nothing else is needed to compare."""

    def __init__(self, logins: list[str], keys: list[str]) -> None:
        """Remember them.

        Args:
            logins: `NAME:PASSWORD` each.
            keys: each at least 16 characters.
        """
        self.has_logins = bool(logins)
        self.has_keys = bool(keys)
        self._logins = [_digest(one.encode()) for one in logins]
        self._keys = [_digest(one.encode()) for one in keys]

    @classmethod
    def read(cls, settings: Settings) -> Self | None:
        """Read the files that the settings name; None if they name none.

        Raises:
            ValueError: a file can be read by others, holds nothing, or a line that is wrong.
            OSError: a file cannot be read.
        """
        if settings.login_file is None and settings.api_key_file is None:
            return None
        return cls(
            [] if settings.login_file is None else list(_logins(settings.login_file)),
            [] if settings.api_key_file is None else list(_keys(settings.api_key_file)),
        )

    def admits(self, headers: Headers) -> bool | None:
        """Whether a request's login or key opens; None if it has neither."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        if key := headers.get(KEY_HEADER):
            return _is_one_of(self._keys, key.encode("latin-1"))
        if kind.lower() == "bearer":
            return _is_one_of(self._keys, value.strip().encode("latin-1"))
        if kind.lower() == "basic":
            try:
                return _is_one_of(self._logins, b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                return False
        return None


class Gatekeeper:
    """Answers 401 to whoever shows no login and no key."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access
        self._wrong = Limiter(parse(_GUESSES))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, send)
            return
        await error_reply(refusal, self._challenge)(scope, receive, send)

    @property
    def _challenge(self) -> dict[str, str]:
        return _CHALLENGE if self._access.has_logins else {"WWW-Authenticate": "Bearer"}

    def _refusal(self, scope: Scope) -> AnalysisError | None:
        # Also when the next guess is right: else the limit would be none.
        if self._wrong.is_full(scope):
            return too_many_requests(self._wrong.retry_after_s(scope))
        admits = self._access.admits(Headers(scope=scope))
        if admits:
            return None
        if admits is False:
            self._wrong.hit(scope)
        needed = "name and password" if self._access.has_logins else f"a key in `{KEY_HEADER}`"
        return login_needed(needed)


def _logins(path: Path) -> Iterator[str]:
    for number, line in _lines(path):
        name, colon, password = line.partition(":")
        if not (name and colon and password):
            raise ValueError(f"Line {number} of {path} is not NAME:PASSWORD.")
        yield line


def _keys(path: Path) -> Iterator[str]:
    for number, line in _lines(path):
        if len(line) < _MIN_KEY or not line.isascii() or " " in line:
            raise ValueError(
                f"Line {number} of {path} is no key: at least {_MIN_KEY} characters, ASCII, no spaces."
            )
        yield line


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and lines, without empty ones and comments."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ValueError(f"{path} can be read by others. Run: chmod 600 {path}")
    found = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            found = True
            yield number, line.strip()
    if not found:
        raise ValueError(f"{path} holds no line that lets anybody in.")


def _digest(secret: bytes) -> bytes:
    return sha256(secret).digest()


def _is_one_of(digests: list[bytes], secret: bytes) -> bool:
    """Compare with every one, so that time tells nothing."""
    digest = _digest(secret)
    return bool(sum([hmac.compare_digest(digest, one) for one in digests]))
