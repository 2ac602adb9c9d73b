"""Reading uploaded files within limits, in memory only."""

from dataclasses import dataclass
from typing import Final

import anyio
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.imaging import MAX_FILE_BYTES, too_large
from data.studies import ScanFile
from ui.admission import Budget
from ui.failures import AnalysisError, busy, refused_file, stalled
from ui.replies import error_reply

#: All files of one request together, where a request may hold many.
MAX_REQUEST_BYTES: Final = 256 * 2**20
#: Where it holds one still, which base64 may have made a third larger; the still is measured on reading.
MAX_SINGLE_BYTES: Final = MAX_FILE_BYTES * 3 // 2
#: The routes that take many files.
TAKES_MANY: Final = frozenset({"/api/v1/analyze"})
#: As many files go in one request; a series of slices has more than a set of images.
MAX_FILES: Final = 1000
#: Other fields of the form, which are not read.
MAX_FIELDS: Final = 1000
#: Boundaries, part headers and a few other fields around the files.
ENVELOPE_BYTES: Final = 512 * 2**10
#: What is read and thrown away of a body over the limit, so that its sender lives to read the refusal.
DRAIN_BYTES: Final = 2 * MAX_REQUEST_BYTES
#: So much of an upload has to come in so many seconds.
STEP_BYTES: Final = 64 * 2**10
STALL_S: Final = 30.0
FIELD: Final = "file"


class _InMemoryParser(MultiPartParser):
    # The body limit is below it, so no part ever spills into a temporary file.
    spool_max_size = 2 * MAX_REQUEST_BYTES


@dataclass(frozen=True)
class Form:
    """What was sent.

    Attributes:
        files: those of the field `file`, at least one.
        texts: the other fields.
    """

    files: list[ScanFile]
    texts: dict[str, str]


async def read_upload(request: Request) -> bytes:
    """The bytes of the form's only file, in its field `file`.

    Raises:
        AnalysisError: 422 if the request is not a form or does not hold one such file.
    """
    return (await read_files(request, max_files=1))[0].payload


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
    content_type = request.headers.get("content-type", "").lower()
    if not content_type.startswith("multipart/form-data"):
        raise _missing_file()
    try:
        form = await _InMemoryParser(
            request.headers, request.stream(), max_files=max_files, max_fields=MAX_FIELDS
        ).parse()
    # A charset that does not exist is a LookupError, one that is no name or does not fit a ValueError.
    except (MultiPartException, LookupError, ValueError) as error:
        raise _bad_form(error, max_files) from error
    try:
        files = []
        for upload in form.getlist(FIELD):
            if isinstance(upload, UploadFile):
                files.append(ScanFile(upload.filename or "", await upload.read()))
                await upload.close()  # so that no more than one file is held twice
        texts = {key: text for key, text in form.multi_items() if isinstance(text, str)}
    finally:
        await form.close()
    if not files:
        raise _missing_file()
    return Form(files, texts)


def _bad_form(error: Exception, max_files: int) -> AnalysisError:
    if str(getattr(error, "message", "")).startswith("Too many files"):
        most = "one file" if max_files == 1 else f"at most {max_files} files"
        return AnalysisError(422, "too_many_files", f"Send {most} in a request.")
    return AnalysisError(
        422, "bad_form", "The form could not be read. Send the file as multipart/form-data."
    )


def _missing_file() -> AnalysisError:
    return AnalysisError(
        422, "missing_file", f"No file was sent. Send one as multipart/form-data, field `{FIELD}`."
    )


class BodyLimit:
    """Refuses bodies over the limit of their route with 413, those that memory has no room for with 503.

    What arrives is counted, not what is announced; an upload that stops gives its room back, with 408.
    """

    def __init__(self, app: ASGIApp, budget: Budget, stall_s: float = STALL_S) -> None:
        """Wrap an application.

        Args:
            app: what reads the bodies.
            budget: bytes held at once, over all requests.
            stall_s: seconds for the next `STEP_BYTES` of a body.
        """
        self.app = app
        self._budget = budget
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, scope["path"], self._budget, self._stall_s)
        refused = False

        async def checked() -> Message:
            nonlocal refused
            if refused:
                return {"type": "http.disconnect"}
            try:
                return await body.next()
            except AnalysisError as error:
                refused = True
                await body.drain()
                await error_reply(error)(scope, receive, send)
                return {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            if not refused:
                await send(message)

        try:
            await self.app(scope, checked, unless_refused)
        except ClientDisconnect:
            pass  # refused, or gone: nobody waits for an answer any more
        finally:
            self._budget.give_back(body.held)


class _Body:
    """The body of one request on its way in."""

    def __init__(self, receive: Receive, path: str, budget: Budget, stall_s: float) -> None:
        self.held = 0
        self._receive = receive
        self._path = path
        self._limit = body_limit(path)
        self._budget = budget
        self._stall_s = stall_s
        self._more = True
        self._received = 0
        self._step = 0
        self._until: float | None = None  # of the next step

    async def next(self) -> Message:
        """The next part; after the last one, what tells of the end of the connection.

        Raises:
            AnalysisError: there is too much of it, no room, or it does not come.
        """
        if not self._more:
            return await self._receive()
        if self._until is None:
            self._until = anyio.current_time() + self._stall_s
        message: Message | None = None
        with anyio.CancelScope(deadline=self._until):
            message = await self._receive()
        if message is None:
            raise stalled()
        size = self._count(message)
        if self._received > self._limit:
            raise _too_large(self._path)
        if not self._budget.take(size):
            raise busy()
        self.held += size
        if self._received >= self._step + STEP_BYTES:
            self._step, self._until = self._received, None
        return message

    async def drain(self) -> None:
        """Read and throw away the rest, for as long as there may be a stop."""
        with anyio.move_on_after(self._stall_s):
            while self._more and self._received < DRAIN_BYTES:
                self._count(await self._receive())

    def _count(self, message: Message) -> int:
        size = len(message.get("body", b""))
        self._received += size
        self._more = message.get("more_body", False)
        return size


def body_limit(path: str) -> int:
    """Bytes that a request to a path may have, its envelope included."""
    return (MAX_REQUEST_BYTES if path in TAKES_MANY else MAX_SINGLE_BYTES) + ENVELOPE_BYTES


def _too_large(path: str) -> AnalysisError:
    if path not in TAKES_MANY:
        return refused_file(too_large())
    most = MAX_REQUEST_BYTES // 2**20
    return AnalysisError(
        413,
        "too_large",
        f"The files are larger than {most} MB together. Send them in several requests.",
    )
