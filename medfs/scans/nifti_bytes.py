"""Bytes of a NIfTI file, decompressed no further than the header declares."""

import gzip
import io

from medfs.core.errors import ScanReadError

# DEFLATE (RFC 1951) cannot expand more than this, so a file that claims more lies.
_MAX_INFLATION = 1032
# Some writers pad to a disk block; more than that is data which the header does not declare.
_MAX_PADDING = 512
_AGAIN = "Copy or export the scan again"


def peek(raw: bytes, count: int, name: str) -> bytes:
    """The first `count` bytes after decompression, or fewer where the file ends.

    Raises:
        ScanReadError: compressed but not called `.gz`, or the other way round.
    """
    packed = raw[:2] == b"\x1f\x8b"
    if packed != _is_packed(name):
        raise ScanReadError(
            f"{name} is {'' if packed else 'not '}compressed, unlike its name says",
            why="A name that ends in .gz stands for a gzip file, and no other name does",
            todo="Rename the file, or copy it again",
        )
    if not packed:
        return raw[:count]
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
        return stream.read(count)


def unpack(raw: bytes, wanted: int, name: str) -> bytes | bytearray:
    """All bytes after decompression; at least `wanted`, and hardly more.

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


def _inflate(raw: bytes, limit: int) -> bytearray:
    """At most `limit` bytes; the checksum is verified where the data end before that."""
    content = bytearray()
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
        while len(content) < limit and (chunk := stream.read(min(1 << 20, limit - len(content)))):
            content += chunk
    return content
