"""The bytes of one member of a zip: inflated in memory, and no further than asked for."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from medfs.core.errors import ScanReadError
from medfs.scans.files.names import first_few
from medfs.scans.files.zip_directory import AGAIN, LOCAL, STORED, Member
from medfs.scans.guards import reading

_BLOCK, _FIRST_BLOCK = 1 << 20, 1 << 14


def read_member(path: Path, member: Member, start: int, stop: int) -> bytes:
    """Bytes `start` to `stop` of a member; no more than `stop` bytes are inflated.

    Raises:
        ScanReadError: the zip is gone, was changed, or is damaged at this member.
    """
    from isal import isal_zlib

    name = first_few([member.name.rsplit("/", 1)[-1]])
    with reading(name), path.open("rb") as file:
        left = _seek(file, member, name)
        if member.method == STORED and stop < member.size:
            file.seek(start, 1)
            return file.read(max(stop - start, 0))
        packed = partial(_blocks, file, left)
        content = b"".join(packed()) if member.method == STORED else _inflate(packed, stop, member)
    if stop < member.size:
        return bytes(memoryview(content)[start:stop])
    if len(content) != member.size:
        raise _broken(name, f"The zip states {member.size} bytes, and it has {len(content)}")
    if isal_zlib.crc32(content) != member.crc:
        raise _broken(name, "Its checksum is wrong")
    return content[start:stop] if start else content


def _seek(file: BinaryIO, member: Member, name: str) -> int:
    """Go to the packed bytes; returns how many there are."""
    file.seek(member.offset)
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or header[:4] != b"PK\3\4":
        raise _broken(name, "The zip has no header where its directory says")
    fields = LOCAL.unpack(header)
    own = file.read(fields[9])
    text = own.decode("utf-8" if fields[2] & 0x800 else "cp437", errors="replace")
    parts = [p for p in text.split("/") if p not in ("", ".")]
    if "/".join(parts) != member.name:
        raise _broken(name, "Its header and the directory of the zip give it different names")
    file.seek(fields[10], 1)
    if file.tell() + member.packed > member.limit:
        raise _broken(name, "It runs into the next file of the zip")
    return member.packed


def _blocks(file: BinaryIO, left: int, first: int = _BLOCK) -> Iterator[bytes]:
    while left > 0:
        block = file.read(min(left, first))
        if not block:
            return
        left -= len(block)
        yield block


def _inflate(packed: Callable[..., Iterator[bytes]], stop: int, member: Member) -> bytes:
    """The first `stop` bytes, one more where the member holds more than it states."""
    from isal import isal_zlib

    engine = isal_zlib.decompressobj(wbits=-15)
    # A header is asked for far more often than all: its block need not be read as a whole.
    wanted = stop + (stop >= member.size)
    pieces, have = [], 0
    for block in packed(first=_BLOCK if stop >= member.size else max(_FIRST_BLOCK, stop)):
        while block and have < wanted and not engine.eof:
            piece = engine.decompress(block, wanted - have)
            block = engine.unconsumed_tail
            pieces.append(piece)
            have += len(piece)
        if have >= wanted or engine.eof:
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _broken(name: str, why: str) -> ScanReadError:
    return ScanReadError(f"{name} in a zip is damaged", why=why, todo=AGAIN)
