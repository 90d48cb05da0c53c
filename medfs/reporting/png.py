"""Pixels → PNG bytes → data URI, by zlib alone (W3C PNG, third edition). No metadata is written."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import UInt8

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour types of the format: grey, and red-green-blue with opacity.
_GREY, _RGBA = 0, 6


def png(pixels: UInt8[np.ndarray, "row column"] | UInt8[np.ndarray, "row column 4"]) -> bytes:
    """Grey values, or red, green, blue and opacity, as a PNG file of 8 bits per channel.

    Raises:
        ValueError: an empty picture, or one of another number of channels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or not pixels.size:
        raise ValueError(f"not a picture: {pixels.dtype} of shape {pixels.shape}")
    if pixels.ndim == 3 and pixels.shape[2] != 4:
        raise ValueError(f"a picture has 1 or 4 channels, not {pixels.shape[2]}")
    height, width = pixels.shape[:2]
    colour = _GREY if pixels.ndim == 2 else _RGBA
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    lines = np.zeros((height, 1 + pixels[0].size), dtype=np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    if colour == _GREY:
        # Filter "up": what is left after the line above is taken off compresses better.
        lines[1:, 1:] = lines[1:, 1:] - pixels[:-1]
        lines[1:, 0] = 2
    content = zlib.compress(lines.tobytes(), 9)
    parts = ((b"IHDR", header), (b"IDAT", content), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def data_uri(content: bytes) -> str:
    """A PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
