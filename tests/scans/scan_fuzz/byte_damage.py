"""Damage to any file: bits, lengths, pieces."""

import numpy as np

Random = np.random.Generator
# Headers are where a changed byte means the most.
_HEADER = 700


def flip_bits(content: bytes, rng: Random) -> bytes:
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        out[_place(content, rng)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def set_bytes(content: bytes, rng: Random) -> bytes:
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        out[_place(content, rng)] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF]))
    return bytes(out)


def truncate(content: bytes, rng: Random) -> bytes:
    return content[: _place(content, rng)]


def delete(content: bytes, rng: Random) -> bytes:
    start = _place(content, rng)
    return content[:start] + content[start + int(rng.integers(1, 40)) :]


def insert(content: bytes, rng: Random) -> bytes:
    start = _place(content, rng)
    return content[:start] + rng.bytes(int(rng.integers(1, 40))) + content[start:]


def repeat(content: bytes, rng: Random) -> bytes:
    start = _place(content, rng)
    piece = content[start : start + int(rng.integers(1, 200))]
    return content[:start] + piece * int(rng.integers(2, 50)) + content[start:]


def fill(content: bytes, rng: Random) -> bytes:
    start, count = _place(content, rng), int(rng.integers(4, 60))
    value = bytes([int(rng.choice([0, 0x20, 0xFF]))])
    return content[:start] + value * len(content[start : start + count]) + content[start + count :]


def append(content: bytes, rng: Random) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 300)))


OPERATIONS = (flip_bits, set_bytes, truncate, delete, insert, repeat, fill, append)


def _place(content: bytes, rng: Random) -> int:
    within = len(content) if rng.random() < 0.4 else min(len(content), _HEADER)
    return int(rng.integers(max(within, 1)))
