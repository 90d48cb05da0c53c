"""Planes to voxels: read, decode, rescale, each plane once and straight to its place."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans.dicom.decode import check_size, decode, is_compressed
from medfs.scans.dicom.frames import Frame
from medfs.scans.dicom.headers import Header

_WORKERS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Intensities (column, row, slice), first axis fastest in memory, and the hash of the files."""

    voxels: Shaped[np.ndarray, "column row slice"]
    sha256: str


class _TooLargeError(Exception):
    """A value does not fit 16 bits."""


def read_planes(frames: Sequence[Frame], flips: tuple[bool, bool, bool]) -> Planes:
    """Decode the planes in the order given and apply each one's rescale (PS3.3 C.11.1).

    The result is int16 where every slope is 1, intercepts are whole numbers and the values fit;
    float32 otherwise. Padding values stay as they are.

    Args:
        frames: of one size, in the order of the stack.
        flips: which of column, row and slice axis to turn round.

    Raises:
        ScanReadError: truncated or damaged pixels.
        MissingExtraError: the decoder of the transfer syntax is not installed.
    """
    for header in {id(f.header): f.header for f in frames}.values():
        check_size(header)
    whole = all(f.slope == 1 and f.intercept == round(f.intercept) for f in frames)
    try:
        return _read(frames, flips, np.dtype(np.int16 if whole else np.float32))
    except _TooLargeError:
        return _read(frames, flips, np.dtype(np.float32))


def _read(
    frames: Sequence[Frame], flips: tuple[bool, bool, bool], dtype: np.dtype[np.generic]
) -> Planes:
    first = frames[0]
    voxels = np.empty((len(frames), first.rows, first.columns), dtype)
    places: dict[int, list[int]] = {}
    for k, frame in enumerate(frames):
        places.setdefault(id(frame.header), []).append(k)

    def fill(indices: list[int]) -> bytes:
        header = frames[indices[0]].header
        content = header.file.read()
        stored = _stored(header, content)
        for k in indices:
            place = len(frames) - 1 - k if flips[2] else k
            _place(voxels[place], _cut(stored, frames[k]), frames[k], flips)
        return content

    digest = hashlib.sha256()
    # Plain pixels are read and placed faster than they are hashed, which this thread does at the
    # same time; compressed ones wait for the processes that decode them.
    apart = any(is_compressed(f.header) for f in frames)
    with ThreadPoolExecutor(_WORKERS if apart else 1) as pool:
        for content in _bounded(pool, fill, list(places.values())):
            digest.update(content)
    return Planes(voxels.transpose(2, 1, 0), digest.hexdigest())


def _bounded(
    pool: ThreadPoolExecutor, fill: Callable[[list[int]], bytes], jobs: list[list[int]]
) -> Iterator[bytes]:
    """Results in order, with only a few files in memory at a time."""
    waiting: list[Future[bytes]] = []
    for job in jobs:
        waiting.append(pool.submit(fill, job))
        if len(waiting) > 2 * _WORKERS:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _stored(header: Header, content: bytes) -> Shaped[np.ndarray, "frame row column"]:
    rows, columns = int(header.values["Rows"]), int(header.values["Columns"])
    stored = decode(header, content)
    if stored.size != header.frames * rows * columns:
        raise GeometryError(
            "an image changed while it was read, or its pixels do not fit its header",
            why=f"{header.name} decodes to {stored.shape}",
            todo="Export or copy the series again",
        )
    return _used_bits(stored, header).reshape(header.frames, rows, columns)


def _used_bits(
    stored: Shaped[np.ndarray, "*shape"], header: Header
) -> Shaped[np.ndarray, "*shape"]:
    """Keep BitsStored bits and extend the sign: old files keep overlays above (PS3.5 8.1.1)."""
    bits = int(header.values["BitsStored"])
    high = int(header.values.get("HighBit", bits - 1))
    unused = stored.dtype.itemsize * 8 - bits
    if stored.dtype.kind not in "iu" or unused < 0 or high != bits - 1:
        raise ScanReadError(
            "the number format of the pixels is unusual",
            why=f"{header.name}: {bits} bits stored, high bit {high}, decoded as {stored.dtype}",
            todo="Export the series again in another format",
        )
    return (stored << unused) >> unused if unused else stored


def _cut(
    stored: Shaped[np.ndarray, "frame row column"], frame: Frame
) -> Shaped[np.ndarray, "row column"]:
    if frame.tile is None:
        return stored[frame.index]
    across = stored.shape[2] // frame.columns
    row, column = divmod(frame.tile, across)
    return stored[
        0,
        row * frame.rows : (row + 1) * frame.rows,
        column * frame.columns : (column + 1) * frame.columns,
    ]


def _place(
    target: Shaped[np.ndarray, "row column"],
    stored: Shaped[np.ndarray, "row column"],
    frame: Frame,
    flips: tuple[bool, bool, bool],
) -> None:
    turn = (slice(None, None, -1 if flips[1] else 1), slice(None, None, -1 if flips[0] else 1))
    low, high = int(stored.min()), int(stored.max())
    if target.dtype == np.float32:
        _check_finite(frame, low, high)
        target[...] = (stored * np.float64(frame.slope) + frame.intercept)[turn]
        return
    shift, limits = int(frame.intercept), np.iinfo(np.int16)
    if low + shift < limits.min or high + shift > limits.max:
        raise _TooLargeError
    # Wrapping addition is exact here: the sum fits, whatever 16 bits hold on the way. Turned only
    # afterwards: arithmetic is several times faster along the memory than against it.
    sums = np.add(stored, np.array(shift).astype(np.int16), casting="unsafe", dtype=np.int16)
    target[...] = sums[turn]


def _check_finite(frame: Frame, low: int, high: int) -> None:
    """A hostile or damaged rescale reaches beyond what float32 holds."""
    ends = [abs(v * frame.slope + frame.intercept) for v in (low, high)]
    if not max(ends) < float(np.finfo(np.float32).max):
        raise ScanReadError(
            "the rescale of an image is not usable",
            why=f"{frame.name} has slope {frame.slope:g} and intercept {frame.intercept:g}",
            todo="Export the series again",
        )
