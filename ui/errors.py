"""Every error of the API in the one form that `ErrorBody` gives, also for what no route answers."""

from collections import defaultdict
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ui.failures import AnalysisError, internal_error
from ui.replies import error_reply

#: nginx's "client closed request"; nobody reads it but the metrics.
_GONE: Final = 499
_METHODS: Final = frozenset(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
)


def add_error_replies(app: FastAPI) -> None:
    """Answer exceptions; call it once the routes are there, and before the page is mounted."""

    @app.exception_handler(AnalysisError)
    def known(request: Request, error: AnalysisError) -> Response:
        return error_reply(error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        # The names of parameters, never what was sent in them.
        names = ", ".join(sorted({f"`{one['loc'][-1]}`" for one in error.errors()}))
        return error_reply(AnalysisError(422, "bad_request", f"{names} cannot be read. See /docs."))

    @app.exception_handler(ClientDisconnect)
    def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=_GONE)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return error_reply(internal_error())

    _answer_the_rest(app)


def _answer_the_rest(app: FastAPI) -> None:
    """What the page behind the API would answer in its own way: other methods, paths there are not."""
    allowed: dict[str, set[str]] = defaultdict(set)
    for route in app.routes:
        if isinstance(route, APIRoute):
            allowed[route.path] |= route.methods or set()
    for path, methods in allowed.items():
        # The page answers GET and HEAD at the root.
        methods |= {"GET"} if path == "/" else set()
        others = sorted(_METHODS - methods - ({"HEAD"} if path == "/" else set()))
        refusal = _NotAllowed(methods)
        app.router.routes.append(Route(path, refusal, methods=others, include_in_schema=False))
    app.router.routes.append(Route("/api/{rest:path}", _not_found, include_in_schema=False))


class _NotAllowed:
    def __init__(self, methods: set[str]) -> None:
        self._allow = ", ".join(sorted(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = AnalysisError(405, "method_not_allowed", f"This address takes {self._allow}.")
        await error_reply(error, {"Allow": self._allow})(scope, receive, send)


async def _not_found(request: Request) -> Response:
    return error_reply(AnalysisError(404, "not_found", "There is nothing here. See /docs."))
