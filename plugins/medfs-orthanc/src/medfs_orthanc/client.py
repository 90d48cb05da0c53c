"""Requests to one server, with errors that a user can act on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from medfs.core.errors import UsageError
from medfs_orthanc.errors import CredentialsError, GoneError, ServerError, UnreachableError

_SECONDS = 60.0
# What stands in front of a server says so while it is away.
_AWAY = (502, 503, 504)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_url(url: str) -> str:
    """The address without a final slash.

    Raises:
        UsageError: not http or https, no host, or a password in it.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # is parsed, and may be no number, when it is asked for
    except ValueError:
        whole = False
    if not whole:
        raise UsageError(
            "the address of Orthanc is none that can be used",
            todo="Give --url as in http://127.0.0.1:8042",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            "the address of Orthanc holds more than an address",
            why="Addresses are printed, and a password in one would be printed with it",
            todo="Give --user, and the password in the variable MEDFS_ORTHANC_PASSWORD",
        )
    return url.rstrip("/")


def travels_in_the_clear(url: str) -> bool:
    """Whether others on the way can read what is sent."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


class Http:
    """Requests below one address; use it as a context, which closes the connections.

    Args:
        url: as `check_url` gives it.
        credentials: user and password.
        timeout_s: for the connection, and for each piece of an answer.
    """

    def __init__(
        self, url: str, credentials: tuple[str, str] | None = None, timeout_s: float = _SECONDS
    ) -> None:
        self.url = url
        # Orthanc redirects nobody: a redirect would carry the password elsewhere.
        self._client = httpx.Client(auth=credentials, timeout=timeout_s, follow_redirects=False)

    def __enter__(self) -> "Http":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def json(self, path: str) -> Any:
        """What a JSON resource holds.

        Raises:
            ServerError: and its kinds, when there is no such answer.
        """
        response = self.get(path)
        try:
            return response.json()
        except ValueError as error:
            raise unexpected(self.url, path, "it is not JSON") from error

    def get(self, path: str) -> httpx.Response:
        """A whole answer; errors as in `json`."""
        with self._talking(path):
            response = self._client.get(self.url + path)
        self._check(response, path)
        return response

    def put(self, path: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Store bytes; errors as in `json`."""
        with self._talking(path):
            response = self._client.put(self.url + path, content=content, headers=dict(headers))
        self._check(response, path)

    def download(self, path: str, file: Path) -> None:
        """Write an answer to `file` piece by piece; errors as in `json`, and OSError."""
        with self._talking(path), self._client.stream("GET", self.url + path) as response:
            self._check(response, path)
            with file.open("wb") as out:
                for piece in response.iter_bytes():
                    out.write(piece)

    @contextmanager
    def _talking(self, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise UnreachableError(
                "Orthanc does not answer",
                case=self.url,
                why=f"It said nothing for {self._client.timeout.read:g} s when asked for {path}",
                todo="Look whether it is busy or hangs, and try again",
            ) from error
        except httpx.TransportError as error:
            raise UnreachableError(
                "Orthanc cannot be reached",
                case=self.url,
                why=str(error) or type(error).__name__,
                todo="Check that it runs, and that --url has its host and HTTP port",
            ) from error

    def _check(self, response: httpx.Response, path: str) -> None:
        status = response.status_code
        if status == httpx.codes.UNAUTHORIZED:
            raise CredentialsError(
                "Orthanc does not accept the user name and password",
                case=self.url,
                why="It answered 401",
                todo="Give a user of RegisteredUsers as --user, and the password in the variable "
                "MEDFS_ORTHANC_PASSWORD",
            )
        if status == httpx.codes.FORBIDDEN:
            raise ServerError(
                "Orthanc forbids this",
                case=self.url,
                why=f"It answered 403 when asked for {path}",
                todo="Allow this user to read series and write attachments, and this machine to "
                "connect (RemoteAccessAllowed)",
            )
        if status == httpx.codes.NOT_FOUND:
            raise GoneError("Orthanc has no such thing", case=self.url, why=f"{path} is not there")
        if status in _AWAY:
            raise UnreachableError(
                "Orthanc cannot be reached",
                case=self.url,
                why=f"The answer was {status}",
                todo="Check that it runs, and what stands between it and this machine",
            )
        if not response.is_success:
            raise unexpected(self.url, path, f"it is {status}")


def unexpected(url: str, path: str, what: str) -> ServerError:
    """The error about an answer that no Orthanc should give."""
    return ServerError(
        "Orthanc gave an answer that cannot be used",
        case=url,
        why=f"Asked for {path}, {what}",
        todo="Check that --url is that of an Orthanc server, and look into its log",
    )
