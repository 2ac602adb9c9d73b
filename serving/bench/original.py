"""The original's way, for comparison: a web application that calls `model.predict` of VGG19 by itself.

    python -m serving.bench.original PORT

Werkzeug is what Flask runs on, and this is its server for development, threaded, as `app.run()` starts
it. The weights are random: they do not change what an answer costs. Never a diagnosis.
"""

import json
import sys
from typing import Any

import keras
import numpy as np
from PIL import Image
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from data.imaging import IMAGE_SIZE


def create_app(model: Any) -> Any:
    """A WSGI application: `POST /` with the form field `file` answers `{"probability": …}`.

    Args:
        model: a Keras model, from float32 `[N, 224, 224, 3]` in 0..1 to `[N, 1]`.
    """

    @Request.application
    def app(request: Request) -> Response:
        if request.method == "GET":
            return Response("up")
        image = Image.open(request.files["file"].stream).convert("RGB")
        pixels = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE)), np.float32) / 255.0
        probability = float(model.predict(pixels[None], verbose=0)[0, 0])
        return Response(json.dumps({"probability": probability}), mimetype="application/json")

    return app


def vgg19() -> Any:
    """VGG19 with one output, its weights random."""
    return keras.applications.VGG19(weights=None, classes=1, classifier_activation="sigmoid")


def main() -> None:
    """Serve until ended."""
    model = vgg19()
    model.predict(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.float32), verbose=0)  # traces it
    make_server("127.0.0.1", int(sys.argv[1]), create_app(model), threaded=True).serve_forever()


if __name__ == "__main__":
    main()
