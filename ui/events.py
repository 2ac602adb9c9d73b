"""Gradio's events: the same analysis for `gradio_client`, by name.

client = gradio_client.Client("http://127.0.0.1:7860")
report = client.predict(image=base64_text, map=True, api_name="/analyze")
"""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import gradio as gr
from fastapi.concurrency import run_in_threadpool
from gradio.events import api

from data.studies import ScanFile
from ui.admission import Admission
from ui.analyse import Analyser
from ui.failures import AnalysisError
from ui.parcels import Parcels
from ui.run import Wanted

#: Events in Gradio's own queue. They hardly wait there: `Admission` decides who runs.
QUEUE: Final = 100


def add_events(page: gr.Blocks, analyser: Analyser, admission: Admission, parcels: Parcels) -> None:
    """Add `/analyze` and `/model` to a page that is built and not yet mounted."""

    async def analyze(image: str, map: bool = False) -> dict[str, Any]:
        """Analyse one file, its bytes as base64 or as a `data:` address; the JSON of /api/v1/analyze."""
        with _reason_told():
            # Gradio does not hold callers to the types it tells them.
            if not isinstance(image, str):
                raise _no_base64()
            with parcels.redeemed(image) as text:
                files = [ScanFile("", _payload(text))]
                async with admission.place():
                    report = await run_in_threadpool(analyser.report, files, Wanted(map=bool(map)))
            if report.refused:
                raise gr.Error(report.refused[0].error.message, print_exception=False)
            return report.model_dump(mode="json")

    def model() -> dict[str, Any]:
        """The model and its versions; the JSON of /api/v1/model."""
        with _reason_told():
            return analyser.ready().model_dump(mode="json")

    with page:
        api(analyze, api_name="analyze", concurrency_limit=None)
        api(model, api_name="model", concurrency_limit=None)
    page.queue(max_size=QUEUE, api_open=False)


@contextmanager
def _reason_told() -> Iterator[None]:
    """Tell why there is no answer; of other errors Gradio tells nothing at all."""
    try:
        yield
    except AnalysisError as error:
        raise gr.Error(error.message, print_exception=False) from error


def _payload(image: str) -> bytes:
    text = image.partition(",")[2] if image.startswith("data:") else image
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError as error:  # also what is not ASCII
        raise _no_base64() from error


def _no_base64() -> AnalysisError:
    return AnalysisError(422, "bad_base64", "`image` is not base64. Encode the bytes of the file.")
