"""Orthanc's REST API, as far as it is needed: changes, series, their files and attachments."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from medfs_orthanc.client import Http, unexpected
from medfs_orthanc.errors import GoneError, ServerError

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_AT_ONCE = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stable:
    """That a series became stable: nothing was added to it for a while (StableAge of Orthanc)."""

    seq: int
    series: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Some changes of a server, oldest first.

    Attributes:
        stable: those that say that a series became stable.
        last: number of the last change of any kind among them.
        done: no more followed at that time.
    """

    stable: tuple[Stable, ...]
    last: int
    done: bool


@dataclass(frozen=True, slots=True)
class Series:
    """What Orthanc knows of a series; its identifiers are hashes and name nobody."""

    orthanc_id: str
    modality: str
    instances: tuple[str, ...]
    stable: bool

    @property
    def content(self) -> str:
        """SHA-256 of the identifiers of its instances: another one when images were added."""
        return hashlib.sha256("\n".join(sorted(self.instances)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Attachment:
    """Bytes that are attached to a series, and the revision to name when they are replaced."""

    content: bytes
    revision: str | None


class Orthanc:
    """One server. All methods raise `ServerError` and its kinds."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def check(self) -> str:
        """The version of Orthanc, if it is one."""
        said = self._object("/system")
        return self._value(said, "/system", "Version", str)

    def last_change(self) -> int:
        """Number of the newest change; 0 if there is none."""
        path = "/changes?last"
        return self._value(self._object(path), path, "Last", int)

    def changes(self, since: int) -> Changes:
        """Those that follow the change of number `since`, at most a hundred."""
        path = f"/changes?since={since}&limit={_AT_ONCE}"
        said = self._object(path)
        found = []
        for change in self._value(said, path, "Changes", list):
            if isinstance(change, dict) and change.get("ChangeType") == "StableSeries":
                series = self._identifier(change.get("ID"), path)
                found.append(Stable(self._value(change, path, "Seq", int), series))
        last, done = self._value(said, path, "Last", int), self._value(said, path, "Done", bool)
        return Changes(tuple(found), last, done)

    def series(self, orthanc_id: str) -> Series:
        """Modality and instances of a series."""
        path = f"/series/{orthanc_id}"
        said = self._object(path)
        tags = self._value(said, path, "MainDicomTags", dict)
        instances = self._value(said, path, "Instances", list)
        return Series(
            orthanc_id,
            str(tags.get("Modality", "")),
            tuple(self._identifier(i, path) for i in instances),
            self._value(said, path, "IsStable", bool),
        )

    def bytes_of(self, series: Series) -> int:
        """Bytes that its DICOM files have."""
        path = f"/series/{series.orthanc_id}/statistics"
        said = self._object(path)
        return int(self._value(said, path, "DicomUncompressedSize", str))

    def fetch(self, series: Series, folder: Path) -> None:
        """Write its files as 00001.dcm, 00002.dcm, …; also OSError.

        An archive of Orthanc would be one request, but names its folders after the patient, and
        file names turn up in messages.
        """
        for k, instance in enumerate(series.instances, start=1):
            self.http.download(f"/instances/{instance}/file", folder / f"{k:05d}.dcm")

    def attachment(self, series: str, number: int) -> Attachment | None:
        """What is attached under this number; None if nothing is."""
        try:
            response = self.http.get(f"{_attachment(series, number)}/data")
        except GoneError:
            return None
        return Attachment(response.content, response.headers.get("ETag"))

    def attach(self, series: str, number: int, content: bytes, replaced: Attachment | None) -> None:
        """Attach bytes to a series in place of what was there."""
        revision = replaced.revision if replaced else None
        self.http.put(
            _attachment(series, number), content, {"If-Match": revision} if revision else {}
        )

    def _object(self, path: str) -> dict[str, Any]:
        said = self.http.json(path)
        if not isinstance(said, dict):
            raise self._unexpected(path, "it is no object")
        return said

    def _value(self, said: Mapping[str, Any], path: str, key: str, kind: type[T]) -> T:
        value = said.get(key)
        if not isinstance(value, kind):
            raise self._unexpected(path, f"it lacks {key}")
        return value

    def _identifier(self, value: Any, path: str) -> str:
        # It becomes part of an address: anything else could lead elsewhere on the server.
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise self._unexpected(path, "an identifier is none of Orthanc's")
        return value

    def _unexpected(self, path: str, what: str) -> ServerError:
        return unexpected(self.http.url, path, what)


def _attachment(series: str, number: int) -> str:
    return f"/series/{series}/attachments/{number}"
