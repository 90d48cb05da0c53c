"""Bytes of a NIfTI file, decompressed no further than the header declares."""

import numpy as np
from jaxtyping import UInt8

from medfs.core.errors import ScanReadError

# DEFLATE (RFC 1951) cannot expand more than this, so a file that claims more lies.
_MAX_INFLATION = 1032
# Some writers pad to a disk block; more than that is data which the header does not declare.
_MAX_PADDING = 512
_GZIP, _PIECE = 31, 1 << 16  # window bits that mean a gzip member; bytes fed at once
_AGAIN = "Copy or export the scan again"

Buffer = UInt8[np.ndarray, "byte"]


def peek(raw: Buffer, count: int, name: str) -> bytes:
    """The first `count` bytes after decompression, or fewer where the file ends.

    Raises:
        ScanReadError: compressed but not called `.gz`, or the other way round.
    """
    packed = bytes(raw[:2]) == b"\x1f\x8b"
    if packed != _is_packed(name):
        raise ScanReadError(
            f"{name} is {'' if packed else 'not '}compressed, unlike its name says",
            why="A name that ends in .gz stands for a gzip file, and no other name does",
            todo="Rename the file, or copy it again",
        )
    return bytes((_inflate(raw, count) if packed else raw)[:count])


def unpack(raw: Buffer, wanted: int, name: str) -> Buffer:
    """All bytes after decompression, writable; at least `wanted`, and hardly more.

    Raises:
        ScanReadError: the file holds fewer or more bytes than its header declares.
    """
    packed = _is_packed(name)
    if packed and wanted > len(raw) * _MAX_INFLATION:
        raise _too_short(name, wanted, f"the file has {len(raw)} compressed bytes")
    content = _inflate(raw, wanted + _MAX_PADDING + 1) if packed else raw
    if len(content) < wanted:
        raise _too_short(name, wanted, f"there are {len(content)}")
    if len(content) > wanted + _MAX_PADDING:
        raise ScanReadError(
            f"{name} holds more voxels than its header declares",
            why=f"The header declares {wanted} bytes, and there are more",
            todo="Give one 3D volume per case",
        )
    return content


def _is_packed(name: str) -> bool:
    return name.lower().endswith(".gz")


def _too_short(name: str, wanted: int, found: str) -> ScanReadError:
    return ScanReadError(
        f"{name} is truncated, or its header is wrong",
        why=f"The header declares {wanted} bytes, and {found}",
        todo=_AGAIN,
    )


def _inflate(raw: Buffer, limit: int) -> Buffer:
    """At most `limit` bytes; checksum and length are verified where the data end before that."""
    content = np.empty(limit, np.uint8)
    filled, place = 0, 0
    while place < len(raw) and filled < limit:
        filled, place = _inflate_member(raw.data, place, content, filled)
        # What follows a member is another one, or the zeros of a disk block.
        if place < len(raw) and raw[place] == 0 and not raw[place:].any():
            break
    return content[:filled]


def _inflate_member(
    packed: memoryview, place: int, content: Buffer, filled: int
) -> tuple[int, int]:
    """Inflate the gzip member at `place`; the new number of bytes in `content`, and its end."""
    from isal import isal_zlib

    engine = isal_zlib.decompressobj(_GZIP)
    while filled < len(content) and not engine.eof:
        # Small pieces stay in the processor's cache, and their memory is used again and again.
        feed = engine.unconsumed_tail or packed[place : place + _PIECE]
        place += 0 if engine.unconsumed_tail else len(feed)
        piece = engine.decompress(feed, min(_PIECE * 4, len(content) - filled))
        if not (feed or piece or engine.eof):
            raise EOFError("the compressed data end before their end mark")
        content[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    return filled, place - len(engine.unused_data)
