"""The files of a bundle, in a folder or in a zip, with what their names and sizes tell."""

import hashlib
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from medfs.core.errors import ScanReadError
from medfs.export.audit.findings import Finding

# A bundle of this size or with this many files is not one that a person wrote.
_MOST_FILES, _MOST_BYTES = 10_000, 20 * 2**30
# Text is looked at whole, weights in parts; nothing larger is read into memory at once.
MOST_READ = 64 * 2**20
_PART = 2**20


@dataclass(frozen=True)
class Entry:
    """One file: its name within the bundle, its size, and how to open it."""

    name: str
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    def read(self, count: int) -> bytes:
        """The first `count` bytes, or as many as there are."""
        with self.open() as file:
            return file.read(count)

    def sha256(self) -> str:
        """Of all bytes, read in parts."""
        digest = hashlib.sha256()
        with self.open() as file:
            while part := file.read(_PART):
                digest.update(part)
        return digest.hexdigest()

    def content(self) -> bytes | None:
        """All of it; None where it is larger than anything that is read whole."""
        return self.read(self.size) if self.size <= MOST_READ else None


@dataclass(frozen=True)
class Tree:
    """Files by name, and what was wrong with others, which are not among them."""

    files: dict[str, Entry]
    findings: tuple[Finding, ...]


def open_tree(path: Path) -> Tree:
    """The files of a folder or zip.

    Raises:
        ScanReadError: there is neither, or the zip is damaged.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ScanReadError("there is no bundle here", case=str(path), todo="Give a folder or zip")
    try:
        with zipfile.ZipFile(path) as archive:
            return _zip(path, archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ScanReadError(
            "cannot be read as a zip", case=str(path), why=str(error), todo="Give a folder or zip"
        ) from error


def _folder(root: Path) -> Tree:
    files: dict[str, Entry] = {}
    findings = []
    for path in sorted(_walk(root)):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            why = f"It points to {path.readlink()}"
            findings.append(Finding(name, "link", why))
        elif path.is_file():
            files[name] = Entry(name, path.stat().st_size, partial(_plain, path))
        elif not path.is_dir():
            findings.append(Finding(name, "no plain file", "A device, pipe or socket"))
    return Tree(files, (*findings, *_too_much(files)))


def _walk(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _zip(path: Path, archive: zipfile.ZipFile) -> Tree:
    files: dict[str, Entry] = {}
    findings = []
    for info in archive.infolist():
        if info.is_dir():
            continue
        if wrong := _bad_member(info, files):
            findings.append(Finding(info.filename, *wrong))
            continue
        opened = partial(_member, path, info.filename)
        files[info.filename] = Entry(info.filename, info.file_size, opened)
    common = {PurePosixPath(name).parts[0] for name in files}
    if len(common) == 1 and all("/" in name for name in files):
        # A zip unpacks into one folder: names within the bundle begin below it.
        files = {e.name.split("/", 1)[1]: e for e in files.values()}
        files = {name: Entry(name, e.size, e.open) for name, e in files.items()}
    return Tree(files, (*findings, *_too_much(files)))


def _bad_member(info: zipfile.ZipInfo, known: dict[str, Entry]) -> tuple[str, str] | None:
    name = info.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or ":" in name:
        return "path traversal", "Unpacking would write outside the folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "link", "A symbolic link in a zip can lead out of the folder"
    if name in known:
        return "name twice", "Which of the two is read depends on the program"
    if info.file_size > 1000 * max(info.compress_size, 1):
        return "bomb", f"{info.compress_size} bytes unpack into {info.file_size}"
    return None


@contextmanager
def _member(path: Path, name: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        yield file


def _too_much(files: dict[str, Entry]) -> list[Finding]:
    total = sum(entry.size for entry in files.values())
    if len(files) > _MOST_FILES or total > _MOST_BYTES:
        return [Finding(".", "too much", f"{len(files)} files, {total} bytes")]
    return []
