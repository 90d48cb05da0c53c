"""Pixels of DICOM segmentations: sizes checked before memory is taken, frames one by one."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import MissingExtraError, ScanReadError

_EXPORT = "Export the segmentation again"
_KINDS = {"BINARY": (1, 8), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}
# Eight times the pixels of the largest detectors; compressed frames say nothing about their size.
_MAX_FRAME = 1 << 27
_MAX_COMPRESSED = 1 << 31


def check_pixels(dataset: Any, name: str) -> None:
    """Refuse a segmentation whose header does not fit its pixels.

    Raises:
        ScanReadError: another kind, numbers that contradict each other, or fewer bytes than
            declared.
        MissingExtraError: the decoder is not installed.
    """
    _check_header(dataset, name)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None or not syntax.is_little_endian:
        raise _damaged(name, f"its transfer syntax is {syntax.name if syntax else 'not stated'}")
    if "PixelData" not in dataset:
        raise _damaged(name, "it holds no pixels")
    if syntax.is_encapsulated:
        _check_decoder(syntax, name)
        return
    count = _count(dataset)
    bits = count * int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated)
    needed, found = (bits + 7) // 8, len(dataset.PixelData)
    if found < needed:
        raise _damaged(name, f"its {count} frames take {needed} bytes and there are {found}")


def _check_header(dataset: Any, name: str) -> None:
    kind = str(dataset.get("SegmentationType", ""))
    bits, samples = int(dataset.BitsAllocated), int(dataset.get("SamplesPerPixel", 1))
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), _count(dataset)
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if bits not in _KINDS.get(kind, ()) or samples != 1:
        raise _damaged(name, f"its type is {kind or 'not stated'} with {bits} bits per pixel")
    if min(rows, columns) < 1 or rows * columns > _MAX_FRAME:
        raise _damaged(name, f"its frames have {rows} × {columns} pixels")
    if count < 1 or count != described:
        raise _damaged(name, f"it declares {count} frame(s) and describes {described}")
    if kind == "FRACTIONAL" and int(dataset.get("MaximumFractionalValue") or 0) < 1:
        raise _damaged(name, "its MaximumFractionalValue is missing")


def frames(
    dataset: Any, wanted: frozenset[int], name: str
) -> Iterator[tuple[int, Shaped[np.ndarray, "row column"]]]:
    """(index from 0, stored values) of the wanted frames, in the order of the file.

    Raises:
        ScanReadError: fewer frames than declared, or one of another size.
    """
    found = 0
    for index, stored in _decoded(dataset, wanted, name):
        if stored.shape != (dataset.Rows, dataset.Columns):
            raise _damaged(name, f"frame {index + 1} has the shape {stored.shape}")
        found += 1
        yield index, stored
    if found < len(wanted):
        raise _damaged(name, f"{len(wanted) - found} of its frames are not there")


def _decoded(
    dataset: Any, wanted: frozenset[int], name: str
) -> Iterator[tuple[int, Shaped[np.ndarray, "row column"]]]:
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        stack = _decompressed(dataset, name)
        yield from ((index, stack[index]) for index in sorted(wanted) if index < len(stack))
        return
    from highdicom.frame import decode_frame

    for index, raw in enumerate(_plain_frames(dataset)):
        if index not in wanted:
            continue
        yield (
            index,
            decode_frame(
                value=raw,
                transfer_syntax_uid=dataset.file_meta.TransferSyntaxUID,
                rows=int(dataset.Rows),
                columns=int(dataset.Columns),
                samples_per_pixel=1,
                bits_allocated=int(dataset.BitsAllocated),
                bits_stored=int(dataset.get("BitsStored", dataset.BitsAllocated)),
                photometric_interpretation=str(dataset.PhotometricInterpretation),
                pixel_representation=0,
                index=index,
            ),
        )


def _decompressed(dataset: Any, name: str) -> Shaped[np.ndarray, "frame row column"]:
    """All frames, decoded in a process of its own: compressed bytes meet native code there."""
    from medfs.scans.dicom.sandbox import decode_apart

    shape = (_count(dataset), int(dataset.Rows), int(dataset.Columns))
    declared = int(np.prod(shape, dtype=object)) * -(-int(dataset.BitsAllocated) // 8)
    if declared > _MAX_COMPRESSED:
        raise _damaged(name, f"its compressed frames would take {declared} bytes")
    content = BytesIO()
    dataset.save_as(content)
    stored = decode_apart(name, content.getvalue(), declared)
    if stored.size != np.prod(shape):
        raise _damaged(name, f"its frames decode to {stored.shape}")
    return stored.reshape(shape)


def _plain_frames(dataset: Any) -> Iterator[bytes]:
    count, pixels = _count(dataset), dataset.PixelData
    bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated)
    for index in range(count):
        # Frames of single bits begin within a byte where their size is no multiple of eight.
        yield pixels[index * bits // 8 : ((index + 1) * bits + 7) // 8]


def _count(dataset: Any) -> int:
    return int(dataset.get("NumberOfFrames") or 1)


def _check_decoder(syntax: Any, name: str) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise _damaged(name, f"its pixels are encoded as {syntax.name}") from None
    if not available:
        raise MissingExtraError(
            f"{name} is compressed, and its decoder is not installed",
            why=f"Its transfer syntax is {syntax.name}",
            todo='Install the decoders with pip install "medfs[codecs]"',
        )


def _damaged(name: str, why: str) -> ScanReadError:
    return ScanReadError(f"{name} is no segmentation that can be read", why=why, todo=_EXPORT)
