"""NIfTI headers that lie: sizes, types, offsets, scales and places."""

import struct

import numpy as np

Random = np.random.Generator
_SIZES = (0, -1, 1, 2, 3, 5, 7, 8, 300, 20000, 32767, -32768)
_HUGE = (2**31 - 1, 2**40, 2**62, -(2**63))
_REALS = (0.0, -0.0, -1.0, 1.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), -float("inf"), 0.5)
_TYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 255, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, -1)
_CODES = (-1, 0, 1, 2, 3, 4, 5, 99)
# Offset, letter and number of each field, of NIfTI-1 and NIfTI-2 (nifti1.h, nifti2.h).
_FIELDS = {
    1: {
        "dim": (40, "h", 8),
        "datatype": (70, "h", 1),
        "bitpix": (72, "h", 1),
        "pixdim": (76, "f", 8),
        "vox_offset": (108, "f", 1),
        "scale": (112, "f", 2),
        "forms": (252, "h", 2),
        "quatern": (256, "f", 6),
        "srow": (280, "f", 12),
        "units": (123, "B", 1),
        "sizeof_hdr": (0, "i", 1),
        "intent": (68, "h", 1),
    },
    2: {
        "dim": (16, "q", 8),
        "datatype": (12, "h", 1),
        "bitpix": (14, "h", 1),
        "pixdim": (104, "d", 8),
        "vox_offset": (168, "q", 1),
        "scale": (176, "d", 2),
        "forms": (344, "i", 2),
        "quatern": (352, "d", 6),
        "srow": (400, "d", 12),
        "units": (500, "i", 1),
        "sizeof_hdr": (0, "i", 1),
        "intent": (504, "i", 1),
    },
}
_VALUES = {"datatype": _TYPES, "bitpix": _TYPES, "forms": _CODES, "units": (0, 1, 2, 3, 8, 10, 255)}


def lying_field(content: bytes, rng: Random) -> bytes:
    """One to three fields set to values that the file does not live up to."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        version, order = _kind(content)
        fields = _FIELDS[version]
        name = list(fields)[int(rng.integers(len(fields)))]
        start, letter, count = fields[name]
        at = start + int(rng.integers(count)) * struct.calcsize(letter)
        out[at : at + struct.calcsize(letter)] = _packed(order, letter, name, rng)
    return bytes(out[: len(content)])


def magic(content: bytes, rng: Random) -> bytes:
    version, _ = _kind(content)
    at = 344 if version == 1 else 4
    texts = (b"ni1\0", b"n+1\0", b"n+2\0", b"ni2\0", b"\0\0\0\0", b"n+9\0", b"ANAL")
    return content[:at] + texts[int(rng.integers(len(texts)))] + content[at + 4 :]


OPERATIONS = (lying_field, lying_field, lying_field, magic)


def _kind(content: bytes) -> tuple[int, str]:
    for order in "<>" if len(content) >= 4 else "":
        size = struct.unpack_from(f"{order}i", content)[0]
        if size in (348, 540):
            return (1 if size == 348 else 2), order
    return 1, "<"


def _packed(order: str, letter: str, name: str, rng: Random) -> bytes:
    if letter in "fd":
        values = (*_REALS, 352.0, 400.0, 348.0, 1e6) if name == "vox_offset" else _REALS
        return struct.pack(f"{order}{letter}", values[int(rng.integers(len(values)))])
    values = _VALUES.get(name, (*_SIZES, *(_HUGE if letter == "q" else ())))
    value = values[int(rng.integers(len(values)))]
    bits = 8 * struct.calcsize(letter)
    return (value % 2**bits).to_bytes(bits // 8, "little" if order == "<" else "big")
