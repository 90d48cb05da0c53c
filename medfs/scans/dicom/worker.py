"""The process in which compressed images are decoded; started by `sandbox`, by its path.

Requests come on stdin: 8 bytes of length, then a DICOM file. Answers go to stdout: 8 bytes of
length and a JSON object, then, if it holds a `shape`, the values in C order.
"""

import json
import os
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

LENGTH_BYTES = 8
MEMORY_LIMIT = 6 << 30
RLE = "1.2.840.10008.1.2.5"
END_MARK, LONGEST_PADDING = b"\xff\xd9", 1024


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit holds there too
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT, hard)
    with suppress(ValueError, OSError):  # macOS has the limit and does not let it be set
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(out: BinaryIO, head: dict[str, object], body: bytes = b"") -> None:
    text = json.dumps(head).encode()
    out.write(len(text).to_bytes(LENGTH_BYTES, "little") + text + body)
    out.flush()


def _check_ends(dataset: Any) -> None:
    """Refuse frames without the end mark that JPEG (T.81), JPEG-LS and JPEG 2000 share.

    Decoders fill what a frame that is cut short lacks, some without a word. Coded values never
    look like the mark; padding may follow it.
    """
    from pydicom.encaps import generate_frames

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == RLE or not syntax.is_encapsulated:
        return
    table = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    frames = generate_frames(
        dataset.PixelData,
        number_of_frames=int(dataset.get("NumberOfFrames") or 1),
        extended_offsets=table if all(table) else None,
    )
    for number, frame in enumerate(frames):
        if END_MARK not in frame[-LONGEST_PADDING:]:
            raise ValueError(f"frame {number + 1} is cut short: it has no end mark")


def main() -> None:
    """Decode until stdin ends."""
    _limit_memory()
    import warnings

    import numpy as np
    import pydicom

    warnings.simplefilter("ignore")
    requests = sys.stdin.buffer
    # Native code may print: what it prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(2, 1)
    while head := requests.read(LENGTH_BYTES):
        content = requests.read(int.from_bytes(head, "little"))
        try:
            dataset = pydicom.dcmread(BytesIO(content), force=True)
            array = np.ascontiguousarray(dataset.pixel_array)
            _check_ends(dataset)
            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            shape, dtype = list(native.shape), native.dtype.str
        except Exception as error:  # whatever a decoder raises is told to the parent
            _answer(answers, {"error": f"{type(error).__name__}: {error}"[:500]})
            continue
        _answer(answers, {"shape": shape, "dtype": dtype}, native.tobytes())


if __name__ == "__main__":
    main()
