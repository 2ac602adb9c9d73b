"""`POST /api/v1/report`: the PDF on one image, which the server analyses itself."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from data.studies import ScanFile
from ui.admission import Admission
from ui.analyse import Analyser
from ui.failures import AnalysisError
from ui.openapi import ASKS_MODEL, TAKES_FILES, code_sample, errors, upload_form
from ui.report import NAME, render_report
from ui.run import Wanted
from ui.uploads import Form, read_form
from ui.words import Language, words_of

_NAME: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": f"^{NAME.pattern}$",
    "description": "Printed on the report; without it no name is.",
}
_PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
}


def add_report(app: FastAPI, analyser: Analyser, admission: Admission, root_path: str) -> None:
    """Add the route to an application.

    Args:
        app: to add to.
        analyser: answers for the scan.
        admission: lets analyses run.
        root_path: under which a proxy publishes the page, for the link to the model card.
    """

    async def sent(request: Request) -> Form:
        return await read_form(request, max_files=1)

    @app.post(
        "/api/v1/report",
        summary="A one-page report on a scan",
        operation_id="report",
        response_class=Response,
        response_description="The report.",
        responses=_PDF | errors(*TAKES_FILES, 415, *ASKS_MODEL),
        openapi_extra=_form()
        | code_sample(
            "curl -F file=@scan.png -o report.pdf 'http://HOST:7860/api/v1/report?lang=en'"
        ),
    )
    async def report(
        request: Request,
        form: Annotated[Form, Depends(sent)],
        turn: Annotated[None, Depends(admission.turn)],
        lang: Annotated[Language, Query(description="Its language.")] = "en",
    ) -> Response:
        """Send one image, or a file with one slice, as multipart/form-data.

        The answer is made here and now, so that what the report says is what the model said. Neither the
        file's name nor anything else that the file tells about a person is printed.
        """
        name = _name(form)
        card_url = f"{str(request.base_url).rstrip('/')}{root_path}/?tab=model"
        pdf = await run_in_threadpool(_report, analyser, form.files[0], lang, name, card_url)
        return Response(
            pdf,
            media_type="application/pdf",
            headers={"Content-Disposition": 'inline; filename="report.pdf"'},
        )


def _form() -> dict[str, Any]:
    """The upload of one file, and the name."""
    form = upload_form(many=False)
    content = form["requestBody"]["content"]["multipart/form-data"]
    content["schema"]["properties"]["name"] = _NAME
    return form


def _name(form: Form) -> str:
    given = form.texts.get("name", "")
    if not NAME.fullmatch(given):
        raise AnalysisError(
            422,
            "name_not_printable",
            "The name cannot be printed. Write it in Latin letters, at most 80 of them.",
        )
    return given.strip()


def _report(analyser: Analyser, file: ScanFile, lang: str, name: str, card_url: str) -> bytes:
    # The file's name helps to read it, and goes no further.
    one = analyser.only(file, Wanted(map=True, picture=True))
    return render_report(
        one,
        analyser.card(one.model.version),
        words_of(lang),
        made=datetime.now(UTC),
        card_url=card_url,
        name=name,
    )
