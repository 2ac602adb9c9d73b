"""Why there is no answer, in words for who asked."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from data.imaging import ScanError
from serving import errors

RETRY_AFTER_S: Final = 5

_log = logging.getLogger(__name__)


class AnalysisError(Exception):
    """Why there is no answer.

    Attributes:
        status: the HTTP status that fits.
        code: stable machine-readable reason.
        message: one or two sentences for the person who sent the file.
        retry_after_s: set where trying again later may help.
    """

    def __init__(
        self, status: int, code: str, message: str, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def refused_file(error: ScanError) -> AnalysisError:
    """The answer to a file that cannot be used as a scan."""
    status = {"too_large": 413, "unsupported_format": 415}.get(error.code, 422)
    return AnalysisError(status, error.code, str(error))


def failed_server(error: errors.ServingError) -> AnalysisError:
    """The answer when the model server gives none.

    The sentences are written here: those of the client name addresses, which are the operator's affair.
    """
    match error:
        case errors.ServerOverloaded():
            return AnalysisError(
                503,
                "server_overloaded",
                "The model server is busy. Try again in a few seconds.",
                RETRY_AFTER_S,
            )
        case errors.ModelNotFound():
            return AnalysisError(
                503,
                "model_not_found",
                "The model server runs, but no version of the model is ready. Try again shortly.",
                RETRY_AFTER_S,
            )
        case errors.ServerUnavailable():
            return AnalysisError(
                503,
                "server_unavailable",
                "The model server cannot be reached. Your scan was not analysed; try again shortly.",
                RETRY_AFTER_S,
            )
        case errors.DeadlineExceeded():
            return AnalysisError(
                504,
                "deadline_exceeded",
                "The model server took too long to answer. Your scan was not analysed; try again.",
            )
        case errors.RequestRejected():
            return AnalysisError(
                502,
                "request_rejected",
                "The model server refused the scan. Tell whoever runs this service.",
            )
        case _:
            return AnalysisError(
                502,
                "contract_error",
                "The model server's answer could not be understood, so no diagnosis was read from it. "
                "Tell whoever runs this service.",
            )


def replaced_model() -> AnalysisError:
    """The answer when the version that answered the first slices is gone before the last."""
    return AnalysisError(
        503,
        "model_replaced",
        "The model was replaced by another version before all was answered, and two versions are not "
        "mixed. Send it again.",
        RETRY_AFTER_S,
    )


def several_slices() -> AnalysisError:
    """The answer to a file with several slices where one is asked for."""
    return AnalysisError(
        422,
        "several_slices",
        "The file holds more than one slice. Send one slice, or the file to /api/v1/analyze.",
    )


def empty_slice() -> AnalysisError:
    """The answer to a slice that nobody asks a model about."""
    return AnalysisError(
        422, "empty_slice", "The slice shows nothing but air. There is nothing to report on."
    )


def unknown_version(version: int) -> AnalysisError:
    """The answer to a question about a version that is not served."""
    return AnalysisError(
        404,
        "version_not_found",
        f"Version {version} is not served. `/api/v1/model` lists those that are.",
    )


def stalled() -> AnalysisError:
    """The answer to an upload that does not go on."""
    return AnalysisError(
        408, "upload_stalled", "The upload came too slowly, or stopped. Send the files again."
    )


def busy() -> AnalysisError:
    """The answer when as much is being done as this front end takes on."""
    return AnalysisError(
        503,
        "busy",
        "Too many scans are being analysed just now. Yours was not; try again in a few seconds.",
        RETRY_AFTER_S,
    )


def too_many_requests(retry_after_s: int) -> AnalysisError:
    """The answer to a client that asks too often."""
    seconds = "1 second" if retry_after_s == 1 else f"{retry_after_s} seconds"
    return AnalysisError(
        429,
        "too_many_requests",
        f"Too many requests from your address. Try again in {seconds}.",
        retry_after_s,
    )


def login_needed(needed: str) -> AnalysisError:
    """The answer to who shows nothing that opens."""
    return AnalysisError(401, "login_needed", f"This service is protected. Send {needed}.")


def internal_error() -> AnalysisError:
    """The answer to a defect of ours."""
    return AnalysisError(
        500,
        "internal_error",
        "Something went wrong on our side. Try again; if it stays so, tell whoever runs this service.",
    )


@contextmanager
def told_to_the_user() -> Iterator[None]:
    """Turn what goes wrong while a scan is analysed into an `AnalysisError`, and log it."""
    try:
        yield
    except AnalysisError:
        raise
    except errors.ServingError as error:
        _log.warning("no answer from the model server: %s: %s", type(error).__name__, error)
        raise failed_server(error) from error
    except Exception as error:
        _log.exception("unexpected error while analysing a scan")
        raise internal_error() from error
