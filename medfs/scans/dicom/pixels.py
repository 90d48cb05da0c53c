"""Pixels of a sorted series: decoded, rescaled and stacked."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pydicom
from jaxtyping import Shaped
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from medfs.core.errors import GeometryError, MissingExtraError, ScanReadError
from medfs.scans.dicom.headers import SliceHeader
from medfs.scans.dicom.values import clear_unused_bits, is_hounsfield, rescale
from medfs.scans.guards import read_bytes, reading

_WORKERS = 2
# No codec of a real image saves more than this, and an empty image needs little anyway.
_MAX_COMPRESSION, _ALWAYS_ALLOWED = 1000, 1 << 25


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """Stored values (row, column) with what turns them into intensities."""

    stored: Shaped[np.ndarray, "row column"]
    slope: float
    intercept: float
    is_hounsfield: bool
    is_lossy: bool
    content: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Intensities (column, row, slice), whether all are Hounsfield units, lossy, and the hash."""

    voxels: Shaped[np.ndarray, "column row slice"]
    is_hounsfield: bool
    is_lossy: bool
    sha256: str


def read_pixels(headers: Sequence[SliceHeader]) -> Stack:
    """Decode the images in the order given and apply each one's Modality LUT (PS3.3 C.11.1).

    The result is int16 where every slope is 1, intercepts are whole numbers and the values fit;
    float32 otherwise. Padding values stay as they are.

    Raises:
        ScanReadError: truncated or damaged pixels, a non-linear lookup table.
        MissingExtraError: the decoder of the transfer syntax is not installed.
    """
    digest = hashlib.sha256()
    slices: list[_Slice] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for image in pool.map(_read_slice, headers):
            digest.update(image.content)
            slices.append(image)
    return Stack(
        _stack(slices),
        all(s.is_hounsfield for s in slices),
        any(s.is_lossy for s in slices),
        digest.hexdigest(),
    )


def _stack(slices: list[_Slice]) -> Shaped[np.ndarray, "column row slice"]:
    rows, columns = slices[0].stored.shape
    dtype = np.int16 if _fits_int16(slices) else np.float32
    voxels = np.empty((columns, rows, len(slices)), dtype)
    for k, image in enumerate(slices):
        voxels[:, :, k] = (image.stored * np.float64(image.slope) + image.intercept).T
    return voxels


def _fits_int16(slices: list[_Slice]) -> bool:
    limits = np.iinfo(np.int16)
    return all(
        s.slope == 1
        and s.intercept == round(s.intercept)
        and limits.min <= int(s.stored.min()) + s.intercept
        and int(s.stored.max()) + s.intercept <= limits.max
        for s in slices
    )


def _read_slice(header: SliceHeader) -> _Slice:
    content = read_bytes(header.path)
    with reading(header.name):
        dataset = pydicom.dcmread(BytesIO(content))
        _check_size(header, dataset, len(content))
        _check_codec(header, dataset)
        stored = clear_unused_bits(_decode(header, dataset), dataset)
        if stored.shape != (header.rows, header.columns):
            raise GeometryError(
                "an image changed while it was read, or its pixels do not fit its header",
                why=f"{header.name} decodes to {stored.shape}",
            )
        slope, intercept = rescale(header.name, dataset)
        return _Slice(
            stored,
            slope,
            intercept,
            is_hounsfield(dataset),
            dataset.get("LossyImageCompression") == "01",
            content,
        )


def _check_size(header: SliceHeader, dataset: Dataset, size: int) -> None:
    """Compare what the header declares with the bytes that are there, before decoding."""
    allocated = int(dataset.get("BitsAllocated") or 0)
    declared = header.rows * header.columns * allocated // 8
    if "PixelData" not in dataset or not declared:
        raise ScanReadError(
            "an image has no pixels",
            why=f"{header.name} declares {header.rows} × {header.columns} pixels of {allocated} "
            f"bits, and pixel data are {'there' if 'PixelData' in dataset else 'missing'}",
            todo="Export or copy the series again",
        )
    packed = UID(dataset.file_meta.TransferSyntaxUID).is_compressed
    found = len(dataset.PixelData)
    allowed = max(size * _MAX_COMPRESSION, _ALWAYS_ALLOWED) if packed else found
    if declared > allowed:
        raise ScanReadError(
            "the pixels of an image are truncated",
            why=f"{header.name} declares {declared} bytes and holds {found}",
            todo="Export or copy the series again",
        )


def _check_codec(header: SliceHeader, dataset: Dataset) -> None:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_compressed:
        return
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


def _decode(header: SliceHeader, dataset: Dataset) -> Shaped[np.ndarray, "row column"]:
    try:
        return np.asarray(dataset.pixel_array)
    except MemoryError:
        raise
    except Exception as error:  # each decoder has its own classes
        raise ScanReadError(
            "the pixels of an image are truncated or damaged",
            why=f"{header.name}: {error}",
            todo="Export or copy the series again",
        ) from error
