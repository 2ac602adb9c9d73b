"""Mutations that get past check sums, and into values of JSON."""

import contextlib
import json
import random
import struct
import zlib
from typing import Any, Final

#: As JSON: what a careless reader trips over.
_HOSTILE: Final = (
    "NaN", "-Infinity", "1e999", "1e300", "9" * 400, "9" * 5000, "-1", "0.5", "true", "null", '""',
    '"\\ud800"', '"nan"', "[]", "{}", "[[1], [1, 2]]", '{"b64": "AA=="}', '{"b64": 1}', "[" * 300 + "]" * 300,
    "[" * 600 + "]" * 600, '{"a":' * 400 + "1" + "}" * 400,
    "[" * 5000 + "]" * 5000, "[" * 70 + "1" + "]" * 70,
)  # fmt: skip
_MARK: Final = "\0here\0"


def json_mutated(payload: bytes, chance: random.Random) -> bytes:
    """A document with one of its values made hostile, dropped or doubled; other bytes as they are."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return payload
    places = list(_places(document))
    if not places:
        return chance.choice(_HOSTILE).encode()
    parent, key = chance.choice(places)
    way = chance.random()
    if way < 0.1:
        del parent[key]
    elif way < 0.2 and isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[key] = _MARK
    with contextlib.suppress(ValueError, RecursionError):
        return json.dumps(document).replace(json.dumps(_MARK), chance.choice(_HOSTILE)).encode()
    return payload


def repaired(payload: bytes) -> bytes:
    """A PNG or ZIP file with its check sums put right, so that what they guard is read."""
    if payload.startswith(b"\x89PNG"):
        return _png(payload)
    return _zip(payload) if payload.startswith(b"PK\x03\x04") else payload


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Container and key of every value, down to a depth that documents of ours have."""
    found: list[tuple[Any, Any]] = []
    level = [document]
    for _ in range(12):
        pairs = [
            (one, key)
            for one in level
            if isinstance(one, dict | list)
            for key in (one if isinstance(one, dict) else range(len(one)))
        ]
        found += pairs
        level = [one[key] for one, key in pairs]
    return found


def _png(payload: bytes) -> bytes:
    right, at = bytearray(payload), 8
    while at + 12 <= len(right):
        end = at + 8 + struct.unpack_from(">I", right, at)[0]
        if end + 4 > len(right):
            break
        struct.pack_into(">I", right, end, zlib.crc32(right[at + 4 : end]))
        at = end + 4
    return bytes(right)


def _zip(payload: bytes) -> bytes:
    right = bytearray(payload)
    entry = right.find(b"PK\x01\x02")
    while 0 <= entry <= len(right) - 46:
        (method,) = struct.unpack_from("<H", right, entry + 10)
        packed, local = (struct.unpack_from("<L", right, entry + at)[0] for at in (20, 42))
        if local + 30 <= len(right):
            begin = local + 30 + sum(struct.unpack_from("<HH", right, local + 26))
            content = bytes(right[begin : begin + packed])
            if method == 8:
                with contextlib.suppress(zlib.error):
                    content = zlib.decompressobj(-15).decompress(content, 2**20)
            struct.pack_into("<L", right, entry + 16, zlib.crc32(content))
        entry = right.find(b"PK\x01\x02", entry + 4)
    return bytes(right)
