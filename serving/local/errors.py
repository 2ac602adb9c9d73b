"""Errors of the local server, as status codes with TensorFlow Serving's texts."""

import grpc


class RequestError(Exception):
    """A request that gets no answer.

    Attributes:
        code: gRPC status; `serving.local.rest_api` maps it to HTTP's.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> RequestError:
    """The request itself is wrong."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def too_late() -> RequestError:
    """The request's deadline has passed, so that nothing is computed for it."""
    return RequestError(
        grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline passed before the request was run"
    )


def not_found(message: str) -> RequestError:
    """No such model or version."""
    return RequestError(grpc.StatusCode.NOT_FOUND, message)
