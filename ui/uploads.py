"""Reading an uploaded file within a limit, in memory only."""

from collections import OrderedDict
from secrets import token_urlsafe
from threading import Lock
from typing import Final

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.imaging import MAX_FILE_BYTES, too_large
from ui.analyse import AnalysisError, PreparedScan, refused_file
from ui.replies import error_reply

#: Boundaries, part headers and a few other fields around the file.
ENVELOPE_BYTES: Final = 64 * 2**10
#: What is read and thrown away of a body over the limit, so that its sender lives to read the refusal.
DRAIN_BYTES: Final = 4 * MAX_FILE_BYTES
FIELD: Final = "file"


class _InMemoryParser(MultiPartParser):
    # The body limit is below it, so no part ever spills into a temporary file.
    spool_max_size = 2 * MAX_FILE_BYTES


async def read_upload(request: Request) -> bytes:
    """The bytes of the form's field `file`.

    Raises:
        AnalysisError: 422 if the request is not a form or holds no such file; 413 if it is too large.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _missing_file()
    try:
        form = await _InMemoryParser(
            request.headers, request.stream(), max_files=1, max_fields=8
        ).parse()
    except MultiPartException as error:
        raise AnalysisError(
            422, "bad_form", "The form could not be read. Send one file as multipart/form-data."
        ) from error
    upload = form.get(FIELD)
    try:
        if not isinstance(upload, UploadFile):
            raise _missing_file()
        if (upload.size or 0) > MAX_FILE_BYTES:
            raise refused_file(too_large())
        return await upload.read()
    finally:
        await form.close()


def _missing_file() -> AnalysisError:
    return AnalysisError(
        422, "missing_file", f"No file was sent. Send one as multipart/form-data, field `{FIELD}`."
    )


class BodyLimit:
    """Refuses request bodies over the limit with 413, counting what arrives, not what is announced."""

    def __init__(self, app: ASGIApp, limit: int = MAX_FILE_BYTES + ENVELOPE_BYTES) -> None:
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


class WaitingScans:
    """Scans that were uploaded by the page and wait for its next call, which takes them out.

    Prepared scans, 150 kB each, and the oldest give way: memory stays bounded whoever uploads what.
    """

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._scans: OrderedDict[str, PreparedScan] = OrderedDict()
        self._lock = Lock()

    def put(self, scan: PreparedScan) -> str:
        """Keep a scan; the token returned takes it out again, once."""
        token = token_urlsafe(24)
        with self._lock:
            self._scans[token] = scan
            while len(self._scans) > self._capacity:
                self._scans.popitem(last=False)
        return token

    def take(self, token: str) -> PreparedScan:
        """Take out a scan.

        Raises:
            AnalysisError: the token is unknown, used, or its scan gave way to others.
        """
        with self._lock:
            scan = self._scans.pop(token, None)
        if scan is None:
            raise AnalysisError(
                503,
                "upload_lost",
                "The upload was lost because many arrived at once. Send it again.",
            )
        return scan
