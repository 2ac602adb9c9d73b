"""What TensorFlow Serving 2.20 answered, and when another answer says the same."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.recorded_model import RGB_BYTES
from tests.conformance.server import GREY

EXCHANGES = json.loads((Path(__file__).parent / "recorded.json").read_text())["exchanges"]
_BYTES = json.dumps(base64.b64encode(bytes([128]) * RGB_BYTES).decode())
_ROWS = f'{{"signature_name": "rgb", "instances": [{{"b64": {_BYTES}}}]}}'

#: TensorFlow Serving answered these with a diagnosis: 10x10 pixels, and 300 for a uint8. A server may
#: refuse them instead.
MAY_REFUSE = {"wrong shape", "value out of uint8"}
#: Their text is the graph's own, and quotes its nodes.
TEXT_OF_THE_GRAPH = {"wrong rank"}


def exchanges(surface: str) -> list[Any]:
    """Parameters for pytest, without those that need the reload first."""
    return [
        pytest.param(one, id=one["name"])
        for one in EXCHANGES
        if one["surface"] == surface
        and "reload" not in one["name"]
        and not one["name"].startswith("Prometheus")
    ]


def exchange(name: str, surface: str = "gRPC") -> dict[str, Any]:
    (found,) = [one for one in EXCHANGES if (one["name"], one["surface"]) == (name, surface)]
    return found


def rest_body(request: dict[str, Any]) -> bytes | None:
    """The body of a request, which the recording abbreviates."""
    text = request["body"]
    if text is None:
        return None
    if text == "gzip of the row form":
        return gzip.compress(_ROWS.encode())
    if text == "rgb row form":
        return _ROWS.encode()
    text = text.split(", IMAGE =")[0]
    text = re.sub(r"BASE64( of 150528 bytes of 128)?", lambda _: _BYTES, text)
    return text.replace("IMAGE", json.dumps(GREY[0].tolist())).encode()


def same_sense(text: str, recorded: str) -> bool:
    """Whether most of the recorded words are there, and all names, numbers and codes."""
    words = set(re.findall(r"\w+", recorded.lower()))
    found = set(re.findall(r"\w+", text.lower()))
    names = {word for word in words if re.search(r"[\d_]", word)}
    return names <= found and len(words & found) >= 0.6 * len(words)


def same_value(found: Any, recorded: Any) -> bool:
    """Equal but for rounding; names of the graph's nodes are free."""
    if isinstance(recorded, dict):
        return (
            isinstance(found, dict)
            and found.keys() == recorded.keys()
            and all(
                (key == "name" and ":" in str(value)) or same_value(found[key], value)
                for key, value in recorded.items()
            )
        )
    if isinstance(recorded, list):
        return (
            isinstance(found, list)
            and len(found) == len(recorded)
            and all(same_value(a, b) for a, b in zip(found, recorded, strict=True))
        )
    if isinstance(recorded, float):
        return found == pytest.approx(recorded, abs=1e-5)
    return type(found) is type(recorded) and found == recorded
