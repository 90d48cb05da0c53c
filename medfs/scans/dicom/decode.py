"""Pixel data to stored values: plain bytes here, everything compressed in a process of its own."""

from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import MissingExtraError, ScanReadError
from medfs.scans.dicom import elements
from medfs.scans.dicom.headers import Header, inflated, out_of_order
from medfs.scans.guards import reading

# No codec of a real image saves more than this, and an empty image needs little anyway.
_MAX_COMPRESSION, _ALWAYS_ALLOWED = 1000, 1 << 25
# DEFLATE (RFC 1951) cannot expand more than this.
_MAX_DEFLATION = 1032
_DEFLATED = elements.DEFLATED.decode()
# Some writers pad to a disk block; more is data that the header does not declare.
_MAX_PADDING = 1024
_AGAIN = "Export or copy the series again"
_UNCOMPRESSED = frozenset(
    ["", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", _DEFLATED]
)


def is_compressed(header: Header) -> bool:
    """Whether a codec must decode the pixels."""
    return header.syntax not in _UNCOMPRESSED


def check_size(header: Header) -> int:
    """Bytes of the decoded frames, compared with the size of the file before any is allocated.

    Raises:
        ScanReadError: the file cannot hold what its header declares.
    """
    declared = _declared(header)
    if is_compressed(header):
        allowed = max(header.file.size * _MAX_COMPRESSION, _ALWAYS_ALLOWED)
    elif header.pixels is not None:
        begin, length = header.pixels
        allowed = min(length or 0, header.file.size - begin)
    else:
        allowed = header.file.size * (_MAX_DEFLATION if header.syntax == _DEFLATED else 1)
    if declared > allowed:
        raise _truncated(header, declared, allowed)
    if is_compressed(header) or header.pixels is None:
        return declared
    if (header.pixels[1] or 0) > declared + _MAX_PADDING:
        raise ScanReadError(
            "an image holds more pixels than it declares",
            why=f"{header.name} declares {declared} bytes and holds {header.pixels[1]}",
            todo=_AGAIN,
        )
    return declared


def decode(header: Header, content: bytes) -> Shaped[np.ndarray, "*shape"]:
    """Stored values of a file, frame by frame, row by row.

    Raises:
        ScanReadError: fewer bytes than declared, damaged, or of a form that is not read.
        MissingExtraError: the decoder is not installed.
    """
    declared = check_size(header)
    _check_tail(header, content)
    if is_compressed(header):
        _check_codec(header)
        from medfs.scans.dicom.sandbox import decode_apart

        return decode_apart(header.name, content, declared)
    if header.pixels is None:
        return _with_pydicom(header, content, declared)
    begin, length = header.pixels
    found = min(length or 0, len(content) - begin)
    if found < declared:
        raise _truncated(header, declared, found)
    dtype = _dtype(header)
    return np.frombuffer(content, dtype, declared // dtype.itemsize, begin)


def _check_tail(header: Header, content: bytes) -> None:
    if header.pixels is None:  # pydicom has read the whole file
        return
    try:
        elements.check_tail(content, header.pixels, explicit=header.explicit)
    except elements.DisorderError as error:
        raise out_of_order(header.name, error) from error
    except (elements.TruncatedError, ValueError, RecursionError) as error:
        raise ScanReadError(
            "a DICOM file is truncated, or something else follows its pixels",
            why=f"{header.name} has {len(content)} bytes",
            todo=_AGAIN,
        ) from error


def _declared(header: Header) -> int:
    bits = int(header.values["BitsAllocated"])
    if bits not in (8, 16, 32):
        raise ScanReadError(
            "the number format of the pixels is unusual",
            why=f"{header.name} allocates {bits} bits per pixel",
            todo="Export the series again with 8, 16 or 32 bits",
        )
    rows, columns = int(header.values["Rows"]), int(header.values["Columns"])
    return rows * columns * header.frames * bits // 8


def _dtype(header: Header) -> np.dtype[Any]:
    kind = "i" if header.values.get("PixelRepresentation", 0) == 1 else "u"
    return np.dtype(f"<{kind}{int(header.values['BitsAllocated']) // 8}")


def _truncated(header: Header, declared: int, found: int) -> ScanReadError:
    return ScanReadError(
        "the pixels of an image are truncated",
        why=f"{header.name} declares {declared} bytes and holds {found}",
        todo=_AGAIN,
    )


def _with_pydicom(header: Header, content: bytes, declared: int) -> Shaped[np.ndarray, "*shape"]:
    """Big endian and deflated files: rare, and not compressed in the sense of a codec."""
    import pydicom

    with reading(header.name):
        dataset = pydicom.dcmread(BytesIO(inflated(header.file, content)), force=True)
        found = len(dataset.get("PixelData") or b"")
        if found < declared:
            raise _truncated(header, declared, found)
        stored = np.asarray(dataset.pixel_array)
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _check_codec(header: Header) -> None:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    syntax = UID(header.syntax)
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError as error:
        raise ScanReadError(
            "the compression of an image is not supported",
            why=f"{header.name} uses {syntax.name}",
            todo="Export the series uncompressed (Explicit VR Little Endian)",
        ) from error
    if not available:
        raise MissingExtraError(
            "a decoder for compressed DICOM images is not installed",
            why=f"{header.name} uses {syntax.name}",
            todo="Run: pip install 'medfs[codecs]'",
        )
    if header.pixels is not None and header.pixels[1] is not None:
        raise ScanReadError(
            "the pixels of a compressed image are not encapsulated",
            why=f"{header.name} uses {syntax.name}, with pixel data of a fixed length (PS3.5 A.4)",
            todo=_AGAIN,
        )
