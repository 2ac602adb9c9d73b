"""Everything that can go wrong between a caller and a served model, as one tree of exceptions.

A message is one or two sentences for a person and says what to do. It never holds pixels, file names or
stack traces, so a page may show it as it is.
"""


class ServingError(Exception):
    """The root: `except ServingError` catches whatever the client raises on purpose."""


class ServerUnavailable(ServingError):
    """Nothing answers at the address, the connection broke, or the server says that it cannot answer now.

    Trying again later may help; the client already did, within the call's time limit.
    """


class CallCancelled(ServerUnavailable):
    """The call was given up before its answer, by the server or by closing the client; not retried."""


class DeadlineExceeded(ServingError):
    """The server took longer than the call's time limit; its answer, if any, is lost."""


class ServerOverloaded(ServingError):
    """The server refuses work because it is busy; trying again shortly should help."""


class ModelNotFound(ServingError):
    """The server runs, but does not serve this model, version or label."""


class RequestRejected(ServingError):
    """The server or the model refuses the request itself; sending it again will not help."""


class ContractError(ServingError):
    """The server answers something that the contract does not allow; no diagnosis can be read from it."""
