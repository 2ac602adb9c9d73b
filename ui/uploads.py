"""Reading uploaded files within limits, in memory only."""

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.imaging import too_large
from data.studies import ScanFile
from ui.failures import AnalysisError, refused_file
from ui.replies import error_reply

#: All files of one request together.
MAX_REQUEST_BYTES: Final = 256 * 2**20
#: As many files go in one request; a series of slices has more than a set of images.
MAX_FILES: Final = 1000
#: Boundaries, part headers and a few other fields around the files.
ENVELOPE_BYTES: Final = 512 * 2**10
#: What is read and thrown away of a body over the limit, so that its sender lives to read the refusal.
DRAIN_BYTES: Final = 2 * MAX_REQUEST_BYTES
FIELD: Final = "file"


class _InMemoryParser(MultiPartParser):
    # The body limit is below it, so no part ever spills into a temporary file.
    spool_max_size = 2 * MAX_REQUEST_BYTES


async def read_upload(request: Request) -> bytes:
    """The bytes of the form's only file, in its field `file`.

    Raises:
        AnalysisError: 422 if the request is not a form or holds no such file; 413 if it is too large.
    """
    return (await read_files(request, max_files=1))[0].payload


@dataclass(frozen=True)
class Form:
    """What was sent.

    Attributes:
        files: those of the field `file`, at least one.
        fields: the other fields' texts.
    """

    files: list[ScanFile]
    fields: dict[str, str]


async def read_files(request: Request, max_files: int = MAX_FILES) -> list[ScanFile]:
    """The files of the form's field `file`, which may come several times.

    Raises:
        AnalysisError: 422 if the request is not a form or holds no such file.
    """
    return (await read_form(request, max_files)).files


async def read_form(request: Request, max_files: int = MAX_FILES) -> Form:
    """The files of the form's field `file`, and the texts beside them.

    Raises:
        AnalysisError: 422 if the request is not a form or holds no such file.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _missing_file()
    try:
        form = await _InMemoryParser(
            request.headers, request.stream(), max_files=max_files, max_fields=8
        ).parse()
    except MultiPartException as error:
        raise AnalysisError(
            422, "bad_form", "The form could not be read. Send the file as multipart/form-data."
        ) from error
    uploads = [one for one in form.getlist(FIELD) if isinstance(one, UploadFile)]
    try:
        if not uploads:
            raise _missing_file()
        return Form(
            files=[ScanFile(one.filename or "", await one.read()) for one in uploads],
            fields={key: text for key, text in form.multi_items() if isinstance(text, str)},
        )
    finally:
        await form.close()


def _missing_file() -> AnalysisError:
    return AnalysisError(
        422, "missing_file", f"No file was sent. Send one as multipart/form-data, field `{FIELD}`."
    )


class BodyLimit:
    """Refuses request bodies over the limit with 413, counting what arrives, not what is announced."""

    def __init__(self, app: ASGIApp, limit: int = MAX_REQUEST_BYTES + ENVELOPE_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0
        refused = False

        async def counted() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received <= self.limit:
                return message
            refused = True
            while message.get("more_body") and received < DRAIN_BYTES:
                message = await receive()
                received += len(message.get("body", b""))
            await error_reply(refused_file(too_large()))(scope, receive, send)
            return {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            if not refused:
                await send(message)

        try:
            await self.app(scope, counted, unless_refused)
        except ClientDisconnect:
            if not refused:
                raise
