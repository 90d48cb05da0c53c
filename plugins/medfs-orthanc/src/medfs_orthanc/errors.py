"""What can be wrong with a server, told apart by what the watch does about it."""

from typing import ClassVar

from medfs.core.errors import UserError


class ServerError(UserError):
    """Orthanc did not do what it was asked; the watch leaves the series at that."""

    exit_code: ClassVar[int] = 1


class UnreachableError(ServerError):
    """No answer: worth another try later."""


class CredentialsError(ServerError):
    """Wrong user or password: the watch ends, as every further try would count as an attack."""


class GoneError(ServerError):
    """What was asked for is not, or no longer, there."""
