"""The members of a zip, checked as a whole before the first of them is read.

The limits follow from what a scan can be. DEFLATE (RFC 1951) cannot expand more than 1032-fold, so
that a member which claims more lies. Members that share bytes, as in the bombs of Fifield (2019, A
better zip bomb, WOOT), are refused.
"""

import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path

from medfs.core.errors import ScanReadError
from medfs.scans.files.names import first_few, is_hidden, printable
from medfs.scans.files.zip_directory import DEFLATED, LOCAL, STORED, Member, damaged, directory
from medfs.scans.guards import reading

ZIP_MARKS = (b"PK\3\4", b"PK\5\6")
MAX_MEMBER, MAX_TOTAL = 4 << 30, 64 << 30
_MAX_INFLATION, _INFLATION_FROM = 1100, 1 << 20
# Encrypted, patched, strongly encrypted, directory encrypted (APPNOTE 4.4.4).
_ENCRYPTED, _PATCHED = 0x1 | 0x40 | 0x2000, 0x20


def list_members(path: Path) -> list[Member]:
    """The files of a zip that are not hidden, sorted by their parts.

    Raises:
        ScanReadError: damaged, encrypted, packed in another way than stored or deflated, or unsafe:
            names that lead out of a folder, links, names used twice, sizes beyond the limits, or
            members that overlap.
    """
    name = printable(path.name)
    with reading(name), path.open("rb") as file:
        entries, end = directory(file, name)
    placed = _placed(entries, end, name)
    cleaned = [(_parts(m, name), m) for m in placed]
    files = [(parts, m) for parts, m in cleaned if not m.name.endswith("/")]
    _check_sizes([m for _, m in files], name)
    _refuse_twice([parts for parts, _ in files], name)
    for _, member in files:
        _check_kind(member, name)
    files.sort(key=lambda found: found[0])
    return [replace(m, name="/".join(p)) for p, m in files if not any(map(is_hidden, p))]


def _placed(entries: list[Member], end: int, name: str) -> list[Member]:
    """The entries with the byte at which each has to end."""
    order = sorted(entries, key=lambda m: m.offset)
    limits = [*(m.offset for m in order[1:]), end][: len(order)]
    placed = [replace(m, limit=limit) for m, limit in zip(order, limits, strict=True)]
    for member in placed:
        if member.offset + LOCAL.size + member.packed > member.limit:
            raise _unsafe(name, "two files in it share the same bytes, or one ends beyond it")
    if placed and placed[0].offset:
        raise damaged(name, f"{placed[0].offset} bytes precede its first file")
    return placed


def _parts(member: Member, name: str) -> tuple[str, ...]:
    """The parts of a member's path, which cannot lead anywhere but below the zip."""
    path = member.name
    reasons = {
        "an absolute path": path.startswith("/"),
        "a path with '..'": ".." in path.split("/"),
        "a path with a backslash": "\\" in path,
        "a path with a drive letter": path[1:2] == ":" and path[0].isalpha(),
        "a name with a zero byte": "\0" in path,
        "no name": not path.strip("/."),
    }
    for reason, found in reasons.items():
        if found:
            raise _unsafe(name, f"a file in it has {reason}: {printable(path)[:80]}")
    return tuple(p for p in path.split("/") if p not in ("", "."))


def _check_sizes(files: list[Member], name: str) -> None:
    for member in files:
        shown = first_few([member.name.rsplit("/", 1)[-1]])
        if member.size > MAX_MEMBER:
            raise _unsafe(name, f"{shown} states {member.size} bytes; up to {MAX_MEMBER} are read")
        if member.size > max(_INFLATION_FROM, member.packed * _MAX_INFLATION):
            raise _unsafe(
                name,
                f"{shown} states {member.size} bytes in {member.packed}, more than DEFLATE can "
                "pack (a zip bomb)",
            )
        if member.method == STORED and member.size != member.packed:
            raise damaged(name, f"{shown} is not packed, yet states two sizes")
    total = sum(m.size for m in files)
    if total > MAX_TOTAL:
        raise _unsafe(name, f"its files have {total} bytes in all; up to {MAX_TOTAL} are read")


def _refuse_twice(paths: list[tuple[str, ...]], name: str) -> None:
    twice = ["/".join(path) for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise _unsafe(name, f"{len(twice)} name(s) occur twice: {first_few(twice)}")


def _check_kind(member: Member, name: str) -> None:
    shown = first_few([member.name.rsplit("/", 1)[-1]])
    if member.flags & _ENCRYPTED:
        raise ScanReadError(
            f"{name} is encrypted",
            why=f"{shown} needs a password",
            todo="Unpack it with the password, and give the folder",
        )
    if stat.S_IFMT(member.mode) not in (0, stat.S_IFREG):
        raise _unsafe(name, f"{shown} is a link or a device, not a file")
    if member.method not in (STORED, DEFLATED) or member.flags & _PATCHED:
        raise ScanReadError(
            f"{name} is packed in a way that is not read",
            why=f"{shown} is packed by method {member.method}; stored (0) and deflated (8) are "
            "read",
            todo="Unpack it, and give the folder or a new zip",
        )


def _unsafe(name: str, why: str) -> ScanReadError:
    return ScanReadError(
        f"{name} is not opened, as it is not safe",
        why=why[0].upper() + why[1:],
        todo="Ask where it comes from; zip the folder of the scan anew",
    )
