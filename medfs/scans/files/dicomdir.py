"""The files that a DICOMDIR refers to (basic directory, PS3.3 F)."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from medfs.core.errors import ScanReadError
from medfs.scans.files.names import first_few, printable
from medfs.scans.guards import reading

# Media Storage SOP Class UID (0002,0002) of Media Storage Directory Storage.
_MARK = b"\x02\x00\x02\x00UI\x14\x001.2.840.10008.1.3.10"
_MAX_SIZE = 1 << 28
_AGAIN = "Copy the whole disc again, or give its folder instead of the DICOMDIR"


def is_dicomdir(head: bytes) -> bool:
    """Whether the first kilobyte of a file is that of a DICOMDIR, whatever its name."""
    return head[128:132] == b"DICM" and _MARK in head


def referenced_files(path: Path) -> list[tuple[Path, int]]:
    """(path, bytes) of the files of all records in use, once each, sorted by their parts.

    Names on a disc are compared without case: discs are written in capitals and often copied in
    small letters.

    Raises:
        ScanReadError: damaged, a reference that leads out of the folder, or files that are missing.
    """
    references = sorted(set(_references(path)))
    listings: dict[str, dict[str, list[os.DirEntry[str]]]] = {}
    found: list[tuple[Path, int]] = []
    missing: list[str] = []
    for parts in references:
        file = _resolve(path.parent, parts, listings)
        if file is None:
            missing.append("/".join(parts))
        else:
            found.append((file, file.stat().st_size))
    if missing:
        raise ScanReadError(
            f"{len(missing)} of {len(references)} files that {printable(path.name)} refers to are "
            "missing",
            why=first_few(missing),
            todo=_AGAIN,
        )
    return found


def _references(path: Path) -> list[tuple[str, ...]]:
    import pydicom

    name = printable(path.name)
    with reading(name):
        if path.stat().st_size > _MAX_SIZE:
            raise ScanReadError(
                f"{name} is too large",
                why=f"It has {path.stat().st_size} bytes; up to {_MAX_SIZE} are read",
                todo="Give the folder instead",
            )
        # From bytes: a lying length would make a file object ask for that much memory.
        content = BytesIO(path.read_bytes())
        records = pydicom.dcmread(content).get("DirectoryRecordSequence")
        if records is None:
            raise ScanReadError(
                f"{name} is damaged", why="It has no directory records", todo=_AGAIN
            )
        # Records that are not in use (0004,1410) are deleted ones.
        used = [r for r in records if r.get("RecordInUseFlag", 0xFFFF) != 0]
        given = [r.get("ReferencedFileID") for r in used]
        return [_parts(value, name) for value in given if value]


def _parts(value: Any, name: str) -> tuple[str, ...]:
    parts = (value,) if isinstance(value, str) else tuple(map(str, value))
    for part in parts:
        if part in ("", ".", "..") or any(c in part for c in "/\\:\0"):
            raise ScanReadError(
                f"{name} is not followed, as it is not safe",
                why=f"It refers to {printable('/'.join(parts))[:80]!r}, which is not a name within "
                "its folder",
                todo="Give the folder instead of the DICOMDIR",
            )
    return parts


def _resolve(
    root: Path, parts: tuple[str, ...], listings: dict[str, dict[str, list["os.DirEntry[str]"]]]
) -> Path | None:
    """The file of these parts, exactly or else without regard to case; None if there is none."""
    folder = os.fspath(root)
    for part in parts[:-1]:
        entry = _choose(folder, part, listings)
        # As in a folder tree, folders that are links are not followed.
        if entry is None or not entry.is_dir(follow_symlinks=False):
            return None
        folder = entry.path
    last = _choose(folder, parts[-1], listings)
    return Path(last.path) if last is not None and last.is_file() else None


def _choose(
    folder: str, part: str, listings: dict[str, dict[str, list["os.DirEntry[str]"]]]
) -> "os.DirEntry[str] | None":
    if folder not in listings:
        listing: dict[str, list[os.DirEntry[str]]] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                listing.setdefault(entry.name.lower(), []).append(entry)
        listings[folder] = listing
    near = listings[folder].get(part.lower(), [])
    exact = [e for e in near if e.name == part]
    if len(near) > 1 and not exact:
        raise ScanReadError(
            "a reference of the DICOMDIR fits more than one file",
            why=f"{printable(part)} may be {first_few(sorted(e.name for e in near))}",
            todo=_AGAIN,
        )
    return next(iter(exact or near), None)
