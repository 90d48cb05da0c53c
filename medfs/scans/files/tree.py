"""The files of a folder tree."""

import os
import stat
from pathlib import Path

from medfs.core.errors import ScanReadError
from medfs.scans.files.names import first_few, is_hidden, printable

_Found = tuple[tuple[str, ...], str, int]


def walk(root: Path, *, recursive: bool) -> list[tuple[Path, int]]:
    """(path, bytes) of every regular file below `root` that is not hidden, sorted by its parts.

    Raises:
        ScanReadError: a link to a file that is not there.
        OSError: a folder that cannot be listed.
    """
    found: list[_Found] = []
    dangling: list[str] = []
    folders: list[tuple[str, tuple[str, ...]]] = [(os.fspath(root), ())]
    while folders:
        folder, parts = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                here = (*parts, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if recursive:
                        folders.append((entry.path, here))
                else:
                    _add(entry, here, found, dangling)
    if dangling:
        # Leaving them out could shorten a series in silence.
        raise ScanReadError(
            f"{len(dangling)} file(s) of {printable(root.name)} are links to nothing",
            why=first_few(sorted(dangling)),
            todo="Fetch the files that they stand for, or remove the links",
        )
    found.sort()
    return [(Path(path), size) for _, path, size in found]


def _add(
    entry: "os.DirEntry[str]", parts: tuple[str, ...], found: list[_Found], dangling: list[str]
) -> None:
    try:
        info = entry.stat()
    except FileNotFoundError:
        dangling.append(entry.name)
        return
    except OSError:
        if not entry.is_symlink():
            raise
        dangling.append(entry.name)  # a link that leads back to itself
        return
    if stat.S_ISREG(info.st_mode):
        found.append((parts, entry.path, info.st_size))
