"""Damages files, forms and requests; the same seed and number always make the same damage."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.seeds import BOUNDARY, form, request, scans

#: Numbers at which lengths and offsets go wrong.
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_PATHS = ("/api/v1/analyze", "/api/v1/analyze?map=true&picture=true", "/", "/upload")
_NAMES = (
    "../../etc/passwd",
    "a\x00.png",
    "a.png\r\nX-Evil: 1",
    '"><script>',
    "é" * 200,
    "",
    ".." * 99,
)


@dataclass(frozen=True)
class Upload:
    """A damaged request.

    Attributes:
        kind: what was damaged: the ending of a file, "form" or "headers".
        raw: all bytes that are sent.
        whole: the server has all that was announced, so an answer is due.
    """

    kind: str
    raw: bytes
    whole: bool


class Damager:
    """Makes upload number n of a seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._scans = scans()

    def upload(self, number: int) -> Upload:
        """Seven of ten have a damaged file, the others a damaged form or damaged headers."""
        chance = random.Random(f"{self._seed}:{number}")  # noqa: S311
        kind = chance.choice(list(self._scans))
        payload = self._scans[kind]
        share = chance.random()
        path = chance.choice(_PATHS)
        if share < 0.7:
            accept = {"Accept": "application/x-ndjson"} if chance.random() < 0.3 else {}
            name = chance.choice(("a." + kind, "scan", "a.png"))
            damaged = form(damage(chance, payload, list(self._scans.values())), name)
            return Upload(kind, request(damaged, path, accept), whole=True)
        if share < 0.85:
            return Upload("form", request(self._form(chance, payload), path), whole=True)
        return self._headers(chance, payload, path)

    def _form(self, chance: random.Random, payload: bytes) -> bytes:
        whole = form(
            payload, chance.choice(_NAMES), chance.choice(("file", "files", "", "f" * 300))
        )
        mark = b"--" + BOUNDARY
        match chance.randrange(6):
            case 0:
                return damage(chance, whole[:300], [whole]) + whole[300:]
            case 1:
                return whole[: chance.randrange(len(whole))]
            case 2:
                return whole.replace(mark + b"--", mark)
            case 3:
                return whole.replace(b"\r\n", b"\n")
            case 4:
                return (mark + b"\r\n") * chance.randrange(1, 3000) + whole
            case _:
                return whole.replace(
                    b"Content-Type", b"X: " + b"y" * chance.randrange(20_000) + b"\r\nZ"
                )

    def _headers(self, chance: random.Random, payload: bytes, path: str) -> Upload:
        body = form(payload)
        size = str(len(body))
        short = str(chance.randrange(len(body)))
        odd: list[tuple[dict[str, str], bool]] = [
            ({"Content-Type": "multipart/form-data"}, True),
            (
                {"Content-Type": "multipart/form-data; boundary=" + "b" * chance.randrange(300)},
                True,
            ),
            ({"Content-Type": "multipart/form-data; boundary=cut-here; charset=utf-16"}, True),
            (
                {
                    "Content-Type": chance.choice(
                        ("", "text/html", "application/json", "multipart/mixed")
                    )
                },
                True,
            ),
            ({"Content-Length": short}, True),  # the rest is taken for another request
            ({"Content-Length": str(len(body) + chance.randrange(1, 10**9))}, False),
            ({"Content-Length": chance.choice(("-1", "x", "0x10", "1e3", "9" * 40))}, True),
            ({"Content-Length": size, "Transfer-Encoding": "chunked"}, False),
            ({"Content-Length": size, "Content-Encoding": "gzip"}, True),
            ({"Content-Length": size, "Expect": "200-maybe"}, True),
            ({"X-Long": "x" * chance.randrange(100_000)}, True),
            ({"Accept": chance.choice(("\x7f", "a" * 9000, "application/x-ndjson;q=nan"))}, True),
            ({"Host": chance.choice(("", "[", "a b", "evil.example:99999"))}, True),
            ({"X-Forwarded-For": chance.choice(("", ",,,", "::1%evil", "9" * 500))}, True),
            ({"Range": "bytes=9-1", "If-None-Match": "*"}, True),
        ]
        fields, whole = chance.choice(odd)
        raw = request(body, path, fields)
        if chance.random() < 0.2:
            head, gap, rest = raw.partition(b"\r\n\r\n")
            return Upload("headers", damage(chance, head, [head]) + gap + rest, whole=False)
        return Upload("headers", raw, whole)


def damage(chance: random.Random, payload: bytes, others: list[bytes]) -> bytes:
    """One to four damages, one after the other."""
    data = bytearray(payload)
    for _ in range(chance.randrange(1, 5)):
        chance.choice(_DAMAGES)(chance, data, others)
    return bytes(data)


def _flip(chance: random.Random, data: bytearray, _: list[bytes]) -> None:
    for _ in range(chance.randrange(1, 17)):
        if data:
            data[_place(chance, data)] ^= 1 << chance.randrange(8)


def _edge(chance: random.Random, data: bytearray, _: list[bytes]) -> None:
    size = chance.choice((1, 2, 4))
    value = chance.choice(_EDGES) & (1 << 8 * size) - 1
    at = _place(chance, data)
    data[at : at + size] = value.to_bytes(size, chance.choice(("little", "big")))


def _cut(chance: random.Random, data: bytearray, _: list[bytes]) -> None:
    del data[_place(chance, data) :]


def _lose(chance: random.Random, data: bytearray, _: list[bytes]) -> None:
    at = _place(chance, data)
    del data[at : at + chance.randrange(1, 65)]


def _repeat(chance: random.Random, data: bytearray, _: list[bytes]) -> None:
    at = _place(chance, data)
    data[at:at] = data[at : at + chance.randrange(1, 257)] * chance.randrange(1, 9)


def _garble(chance: random.Random, data: bytearray, _: list[bytes]) -> None:
    at = _place(chance, data)
    garbled = chance.randbytes(min(chance.randrange(1, 129), len(data) - at))
    data[at : at + len(garbled)] = garbled


def _splice(chance: random.Random, data: bytearray, others: list[bytes]) -> None:
    other = chance.choice(others)
    data[_place(chance, data) :] = other[chance.randrange(len(other)) :]


_DAMAGES: tuple[Callable[[random.Random, bytearray, list[bytes]], None], ...] = (
    *(_flip, _edge, _cut, _lose, _repeat, _garble, _splice),
)


def _place(chance: random.Random, data: bytearray) -> int:
    """Anywhere, one time in three near the beginning, where headers are."""
    if not data:
        return 0
    return chance.randrange(min(len(data), 256) if chance.random() < 0.33 else len(data))
