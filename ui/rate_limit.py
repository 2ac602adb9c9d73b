"""How often one client may ask."""

import ipaddress
import math
import time
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.failures import too_many_requests
from ui.replies import error_reply

#: Whoever gets an IPv6 address usually gets all of a network of this size.
_IPV6_PREFIX: Final = 64


def rate(text: str) -> RateLimitItem | None:
    """Read a setting like `300/minute`; None for none, which is `0` or empty.

    Raises:
        ValueError: it says neither.
    """
    if text.strip() in ("", "0"):
        return None
    try:
        item = parse(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no rate. Give one like 300/minute or 10/second, or 0 for no limit."
        ) from error
    return item if item.amount else None


class Limiter:
    """Counts by client address over a sliding window, in memory."""

    def __init__(self, most: RateLimitItem) -> None:
        self._most = most
        self._strategy = MovingWindowRateLimiter(MemoryStorage())

    def hit(self, scope: Scope) -> bool:
        """Count once more; False if that is too often."""
        return self._strategy.hit(self._most, client_of(scope))

    def is_full(self, scope: Scope) -> bool:
        """Whether the next one would be too often."""
        return not self._strategy.test(self._most, client_of(scope))

    def retry_after_s(self, scope: Scope) -> int:
        """Seconds until it is not too often any more, at least 1."""
        reset = self._strategy.get_window_stats(self._most, client_of(scope)).reset_time
        return max(1, math.ceil(reset - time.time()))


class RateLimit:
    """Answers 429 to a client that asks for more analyses than the rate; reading is not counted."""

    def __init__(self, app: ASGIApp, most: RateLimitItem) -> None:
        self.app = app
        self._limiter = Limiter(most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        # Everything that is worked on is sent with POST, to the API and to Gradio alike.
        asks = scope["type"] == "http" and scope["method"] == "POST"
        if asks and not self._limiter.hit(scope):
            refusal = too_many_requests(self._limiter.retry_after_s(scope))
            await error_reply(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def client_of(scope: Scope) -> str:
    """Whose request it is: the address, of IPv6 its network; the server has put proxies aside before."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
