"""The files of a place: a folder tree, a zip, a DICOMDIR, or one file. Nothing is written to disk.

`find_files` lists them, `ScanFile.read` gives their bytes. What a file holds is not asked here.
"""

from dataclasses import dataclass, field
from pathlib import Path

from medfs.core.errors import ScanReadError
from medfs.scans.files.dicomdir import is_dicomdir, referenced_files
from medfs.scans.files.names import printable
from medfs.scans.files.tree import walk
from medfs.scans.files.zip_bytes import read_member
from medfs.scans.files.zip_directory import Member
from medfs.scans.files.zips import ZIP_MARKS, list_members
from medfs.scans.guards import reading

__all__ = ["ScanFile", "find_files"]


# One call of the system reads at most 2 GiB; up to half of that no buffer is needed.
_ONE_CALL = 1 << 30


@dataclass(frozen=True, slots=True)
class ScanFile:
    """One file that can be read, on disk or in a zip.

    Attributes:
        path: the file, or the zip that holds it.
        member: its path within the zip (`/` between the parts); None on disk.
        size: its length in bytes, for a member after inflation.
        place: where the member lies within the zip; None on disk.
    """

    path: Path
    member: str | None
    size: int
    place: Member | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The last part of its path, fit for messages: control characters are replaced."""
        return printable(self.path.name if self.member is None else self.member.rsplit("/", 1)[-1])

    @property
    def folder(self) -> str:
        """The last part of where it lies, fit for messages."""
        if self.member is None:
            return printable(self.path.parent.name)
        return printable("/".join(self.member.split("/")[-2:-1]) or self.path.name)

    @property
    def suffix(self) -> str:
        """What follows the last dot of the name, with the dot, as it is written."""
        return Path(self.name).suffix

    def read(self, start: int = 0, count: int | None = None) -> bytes:
        """Bytes from `start`: `count` of them, or all, but none beyond `size`.

        Safe to call from several threads. A member that is read to its end is checked against the
        length and the checksum that the zip states.

        Raises:
            ScanReadError: gone, shorter than it was when it was found, or a damaged member.
        """
        stop = self.size if count is None else min(self.size, start + count)
        if self.member is not None:
            return read_member(self.path, self._place(), start, stop)
        buffering = -1 if stop - start > _ONE_CALL else 0
        with reading(self.name), self.path.open("rb", buffering=buffering) as file:
            if start:
                file.seek(start)
            content = file.read(max(stop - start, 0))
        if len(content) < stop - start:
            raise ScanReadError(
                f"{self.name} is shorter than it was a moment ago",
                why=f"It had {self.size} bytes, and ends after {start + len(content)}",
                todo="Wait until it has been copied completely, and try again",
            )
        return content

    def _place(self) -> Member:
        if self.place is not None:
            return self.place
        for member in list_members(self.path):
            if member.name == self.member:
                return member
        raise ScanReadError(f"{self.path.name} holds no file {self.name}")


def find_files(path: Path, *, recursive: bool = True) -> list[ScanFile]:
    """All files of a place, sorted by their path.

    A folder gives the files of its tree. Left out are hidden files and folders (`.name`),
    `__MACOSX`, folders that are links (so that no loop can arise), and what is no regular file; a
    DICOMDIR in it is a file like the others. A zip gives its members, by the same rules; a zip
    within it is a member like the others and is not opened. A DICOMDIR given by itself gives
    exactly the files that it refers to (PS3.3 F.3). Any other file gives itself.

    Args:
        path: the folder or file, whatever its name.
        recursive: whether to go into the folders within it.

    Raises:
        ScanReadError: nothing there, a link to nothing in the tree, a damaged or unsafe zip, or a
            DICOMDIR that is damaged or refers to files that are missing.
    """
    name = printable(path.name)
    with reading(name):
        if path.is_dir():
            return [ScanFile(p, None, size) for p, size in walk(path, recursive=recursive)]
        if not path.exists():
            raise ScanReadError(
                f"{name} does not exist",
                why=f"There is nothing at {path}",
                todo="Check the path, and that the disk or share is connected",
            )
        if not path.is_file():
            raise ScanReadError(f"{name} is neither a file nor a folder", why=f"It is {path}")
        with path.open("rb") as file:
            head = file.read(1024)
        if head.startswith(ZIP_MARKS) or path.suffix.lower() == ".zip":
            return _members(path, head, recursive)
        if is_dicomdir(head):
            found = referenced_files(path)
            return [ScanFile(p, None, size) for p, size in found]
        return [ScanFile(path, None, path.stat().st_size)]


def _members(path: Path, head: bytes, recursive: bool) -> list[ScanFile]:
    name = printable(path.name)
    if not head.startswith(ZIP_MARKS):
        raise ScanReadError(
            f"{name} is not a zip, unlike its name says",
            why=f"It begins with {head[:4].hex(' ') or 'nothing: it is empty'}",
            todo="Copy it again, or rename it",
        )
    # The preamble of a DICOM file may hold anything (PS3.10 7.1), a zip too.
    if head[128:132] == b"DICM":
        raise ScanReadError(
            f"{name} is a zip and a DICOM file at once",
            why="It begins like a zip, and has the DICOM mark after 128 bytes",
            todo="Export the scan again",
        )
    members = [m for m in list_members(path) if recursive or "/" not in m.name]
    return [ScanFile(path, m.name, m.size, m) for m in members]
