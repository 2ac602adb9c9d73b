"""What one scan costs on the wire, by the way it is sent: `python -m serving.examples.wire_cost`.

Prints the table in `serving/README.md`: bytes of a whole request, and the CPU time to make it from
pixels (median of some rounds; of the ways that need a decoder on the server, without the decoding).
"""

import base64
import gzip
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.imaging import prepare_scan, read_scan
from serving.contract import MODEL_NAME, SERVING_DEFAULT
from serving.grpc_transport import GrpcCodec
from serving.rest_transport import RestCodec
from serving.transport import Server

SCAN: Final = Path("data/samples/yes/cheng_0577_meningioma.jpg")
ROUNDS: Final = 20

Images = NDArray[np.uint8]
_SERVER: Final = Server("", MODEL_NAME)


def by_grpc(images: Images) -> bytes | None:
    """PredictRequest with the pixels in `tensor_content`."""
    codec = GrpcCodec(_SERVER)
    return codec.predict(*codec.scans(images), None).body


def by_rgb(images: Images) -> bytes | None:
    """The signature `rgb`."""
    codec = RestCodec(_SERVER)
    return codec.predict(*codec.scans(images), None).body


def by_rgb_gzip(images: Images) -> bytes | None:
    """The same as a gzip body, at the fastest level."""
    return gzip.compress(by_rgb(images) or b"", 1)


def by_list(images: Images) -> bytes | None:
    """The signature `serving_default`, which takes numbers."""
    return RestCodec(_SERVER).predict(SERVING_DEFAULT, {"images": images}, None).body


def by_png(images: Images) -> bytes | None:
    """What a signature that decodes pictures would take."""
    packed = io.BytesIO()
    Image.fromarray(images[0]).save(packed, "PNG")
    return json.dumps(
        {"instances": [{"b64": base64.b64encode(packed.getvalue()).decode()}]}
    ).encode()


WAYS: Final[dict[str, Callable[[Images], bytes | None]]] = {
    "gRPC, `serving_default`": by_grpc,
    "REST, `rgb`: base64 of the bytes": by_rgb,
    "REST, `rgb`, gzip": by_rgb_gzip,
    "REST, `serving_default`: list of pixels": by_list,
    "REST, base64 of a PNG (not offered)": by_png,
}


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    images = prepare_scan(read_scan(SCAN))[None]
    print("| way | bytes a scan | CPU ms to encode |\n|---|---|---|")  # noqa: T201
    for name, encode in WAYS.items():
        times = []
        for _ in range(rounds):
            begin = time.process_time()
            body = encode(images)
            times.append(time.process_time() - begin)
        milliseconds = 1000 * statistics.median(times)
        print(f"| {name} | {len(body or b''):,} | {milliseconds:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()
