"""The central directory of a zip (PKWARE APPNOTE 6.3, section 4.3), parsed strictly.

A zip may describe itself in two ways that contradict each other, which is how archives are made
that one program reads as harmless. Here the end record closes the file, the directory ends where
that record begins, and nothing precedes the first member.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from medfs.core.errors import ScanReadError

MAX_MEMBERS = 200_000
AGAIN = "Copy the zip again, or zip the folder of the scan anew"
_MAX_DIRECTORY, _NEWEST = 1 << 28, 63
_END, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCATOR, _CENTRAL = struct.Struct("<4sLQL"), struct.Struct("<4s4BHHHHLLL5HLL")
LOCAL = struct.Struct("<4s5HLLLHH")
STORED, DEFLATED = 0, 8
_FULL32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a zip.

    Attributes:
        name: path within the zip, as the zip states it until it has been checked.
        size: bytes after inflation.
        packed: bytes within the zip.
        crc: CRC-32 of the content.
        method: 0 stored, 8 deflated.
        flags: general purpose bit flags.
        mode: Unix file mode, 0 where the zip has none.
        offset: where its local header begins.
        limit: where it has to end: the next member, or the directory.
    """

    name: str
    size: int
    packed: int
    crc: int
    method: int
    flags: int
    mode: int
    offset: int
    limit: int


def damaged(name: str, why: str) -> ScanReadError:
    """The error that says that a zip is damaged."""
    return ScanReadError(f"{name} is damaged, or is no zip", why=why, todo=AGAIN)


def directory(file: BinaryIO, name: str) -> tuple[list[Member], int]:
    """All entries, in the order of the directory, and where the directory begins.

    Raises:
        ScanReadError: damaged, of several volumes, or with too many entries.
    """
    size = file.seek(0, 2)
    count, length, start = _end_record(file, size, name)
    if count > MAX_MEMBERS or length > _MAX_DIRECTORY:
        raise ScanReadError(
            f"{name} holds too many files",
            why=f"{count} files in a directory of {length} bytes; up to {MAX_MEMBERS} are read",
            todo="Give a zip of one scan, or a folder",
        )
    file.seek(start)
    members = list(_entries(file.read(length), start, name))
    if len(members) != count:
        raise damaged(name, f"Its directory holds {len(members)} files and states {count}")
    return members, start


def _end_record(file: BinaryIO, size: int, name: str) -> tuple[int, int, int]:
    """Number of entries, length of the directory, and its start."""
    file.seek(max(size - _END.size - 0xFFFF, 0))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and at + _END.size <= len(tail):
        record = _END.unpack_from(tail, at)
        if at + _END.size + record[7] == len(tail):
            break
        at = tail.rfind(b"PK\5\6", 0, at)
    else:
        raise damaged(name, "The record that closes a zip is missing: it may be cut short")
    end = size - len(tail) + at
    disks, counts, (length, start) = record[1:3], record[3:5], record[5:7]
    if 0xFFFF in counts or _FULL32 in (length, start):
        return _end_record64(file, end, name)
    if any(disks) or counts[0] != counts[1]:
        raise _several_volumes(name)
    if start + length != end:
        raise damaged(name, f"Its directory should end at byte {end}, not {start + length}")
    return counts[1], length, start


def _end_record64(file: BinaryIO, end: int, name: str) -> tuple[int, int, int]:
    file.seek(max(end - _LOCATOR.size, 0))
    mark, disk, at, disks = _LOCATOR.unpack(file.read(_LOCATOR.size))
    file.seek(min(at, end))
    content = file.read(_END64.size)
    if mark != b"PK\6\7" or len(content) < _END64.size or content[:4] != b"PK\6\6":
        raise damaged(name, "The record that closes a large zip is missing")
    record = _END64.unpack(content)
    counts, (length, start) = record[6:8], record[8:10]
    if disk or disks > 1 or any(record[4:6]) or counts[0] != counts[1]:
        raise _several_volumes(name)
    if start + length != at or at + 12 + record[1] != end - _LOCATOR.size:
        raise damaged(name, "The places that its closing records state contradict each other")
    return counts[1], length, start


def _several_volumes(name: str) -> ScanReadError:
    return ScanReadError(
        f"{name} is one part of a zip in several parts",
        why="Its closing record names other parts",
        todo="Unpack it with all its parts, and give the folder",
    )


def _entries(content: bytes, start: int, name: str) -> Iterator[Member]:
    at = 0
    while at < len(content):
        if at + _CENTRAL.size > len(content) or content[at : at + 4] != b"PK\1\2":
            raise damaged(name, f"Its directory has no entry at byte {start + at}")
        fields = _CENTRAL.unpack_from(content, at)
        version, (flags, method) = fields[3], fields[5:7]
        if version > _NEWEST:
            raise ScanReadError(
                f"{name} is packed in a way that is not read",
                why=f"A file in it needs version {version / 10:g} of the zip format; up to "
                f"{_NEWEST / 10:g} are known",
                todo="Unpack it, and give the folder or a new zip",
            )
        crc, packed, size, name_length, extra_length, comment_length, disk = fields[9:16]
        attributes, offset = fields[17:]
        at += _CENTRAL.size
        encoded = content[at : at + name_length]
        extra = content[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment_length
        if at > len(content):
            raise damaged(name, "Its directory is cut short")
        size, packed, offset, disk = _large(extra, size, packed, offset, disk, name)
        if disk:
            raise _several_volumes(name)
        text = _decode(encoded, flags, name)
        yield Member(text, size, packed, crc, method, flags, attributes >> 16, offset, 0)


def _decode(encoded: bytes, flags: int, name: str) -> str:
    try:
        return encoded.decode("utf-8" if flags & 0x800 else "cp437")
    except UnicodeDecodeError as error:
        raise damaged(name, "The name of a file in it is not UTF-8, unlike it says") from error


def _large(
    extra: bytes, size: int, packed: int, offset: int, disk: int, name: str
) -> tuple[int, int, int, int]:
    """The numbers that do not fit in 32 bits, from the ZIP64 extra field (4.5.3)."""
    values = [size, packed, offset]
    wanted = [i for i, value in enumerate(values) if value == _FULL32]
    at = 0
    while at + 4 <= len(extra) and (wanted or disk == 0xFFFF):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind != 1:
            at += 4 + length
            continue
        body = extra[at + 4 : at + 4 + length]
        if len(body) < 8 * len(wanted) + 4 * (disk == 0xFFFF):
            break
        for place, i in enumerate(wanted):
            (values[i],) = struct.unpack_from("<Q", body, 8 * place)
        if disk == 0xFFFF:
            (disk,) = struct.unpack_from("<L", body, 8 * len(wanted))
        return values[0], values[1], values[2], disk
    if wanted:
        raise damaged(name, "The size of a large file in it is missing")
    return size, packed, offset, disk
