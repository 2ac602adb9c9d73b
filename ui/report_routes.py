"""`POST /api/v1/report`: the PDF on one image, which the server analyses itself."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from data.imaging import ScanError
from data.studies import ScanFile
from ui.analyse import Analyser, Wanted
from ui.failures import AnalysisError, refused_file
from ui.replies import ERRORS_OF_ANALYSIS
from ui.report import MAX_NAME, can_print, render_report
from ui.schema import AnalysisReport
from ui.uploads import FIELD, read_form
from ui.words import words_of

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {"type": "string", "format": "binary"},
                        "name": {
                            "type": "string",
                            "maxLength": MAX_NAME,
                            "description": "Printed on the report; without it no name is.",
                        },
                    },
                }
            }
        },
    }
}


def add_report(app: FastAPI, analyser: Analyser, root_path: str) -> None:
    """Add the route to an application.

    Args:
        app: to add to.
        analyser: answers for the scan.
        root_path: under which a proxy publishes the page, for the link to the model card.
    """

    @app.post(
        "/api/v1/report",
        summary="A one-page report on a scan",
        response_class=Response,
        responses=ERRORS_OF_ANALYSIS
        | {200: {"description": "The report.", "content": {"application/pdf": {}}}},
        openapi_extra=_FORM,
    )
    async def report(
        request: Request,
        lang: Annotated[Literal["en", "de"], Query(description="Its language.")] = "en",
    ) -> Response:
        """Send one image, or a file with one slice, as multipart/form-data.

        The answer is made here and now, so that what the report says is what the model said. Neither the
        file's name nor anything else that the file tells about a person is printed.
        """
        form = await read_form(request, max_files=1)
        name = _name(form.fields.get("name", ""))
        home = f"{str(request.base_url).rstrip('/')}{root_path}"
        card_url = f"{home}/?tab=model"
        pdf = await run_in_threadpool(_report, analyser, form.files[0], lang, name, card_url)
        return Response(
            pdf,
            media_type="application/pdf",
            headers={
                "Content-Disposition": 'inline; filename="report.pdf"',
                "Cache-Control": "no-store",
            },
        )


def _name(given: str) -> str:
    name = given.strip()
    if len(name) > MAX_NAME:
        raise AnalysisError(
            422, "name_too_long", f"The name is longer than {MAX_NAME} characters. Shorten it."
        )
    if not can_print(name):
        raise AnalysisError(
            422,
            "name_not_printable",
            "The name has characters that the report's font lacks. Write it in Latin letters.",
        )
    return name


def _report(analyser: Analyser, file: ScanFile, lang: str, name: str, card_url: str) -> bytes:
    # The file's name helps to read it, and goes no further.
    answered = analyser.report([file], Wanted(map=True, picture=True))
    version = _require_one_image(answered)
    return render_report(
        answered,
        analyser.card(version),
        words_of(lang),
        made=datetime.now(UTC),
        card_url=card_url,
        name=name,
    )


def _require_one_image(answered: AnalysisReport) -> int:
    """The version that answered for a single image.

    Raises:
        AnalysisError: the file was refused, or holds more than one image, or nothing but air.
    """
    if answered.refused and not answered.results:
        error = answered.refused[0].error
        raise refused_file(ScanError(error.code, error.message))
    slices = [one for study in answered.results for one in study.slices]
    if len(slices) != 1 or answered.refused:
        raise AnalysisError(
            422,
            "several_slices",
            "A report is about one slice, and this file holds several. Send the slice as an image.",
        )
    if slices[0].decision is None or answered.model is None:
        raise AnalysisError(
            422, "empty_slice", "The slice shows nothing but air. There is nothing to report on."
        )
    return answered.model.version
