"""PNG files are what the format says, by a decoder of the test's own."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medfs.reporting.png import data_uri, png

SIDES = st.integers(1, 20)
PICTURES = st.one_of(
    st.tuples(SIDES, SIDES).flatmap(lambda s: arrays(np.uint8, s)),
    st.tuples(SIDES, SIDES).flatmap(lambda s: arrays(np.uint8, (*s, 4))),
)


def decode(content: bytes) -> np.ndarray:
    """Chunks with their checks, and the two filters that are used."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + data
        )
        chunks.append((kind, data))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 6: 4}[colour]
    lines = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(height, -1)
    found = np.zeros((height, width * channels), np.uint8)
    for i, line in enumerate(lines):
        assert line[0] in (0, 2)
        found[i] = line[1:] + (found[i - 1] if line[0] == 2 else 0)
    return found.reshape((height, width) if channels == 1 else (height, width, channels))


@given(PICTURES)
def test_what_is_written_is_read_again(pixels):
    np.testing.assert_array_equal(decode(png(pixels)), pixels)


def test_other_programs_read_it(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs pillow")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels))
    with image.open(tmp_path / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read), pixels)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3, 3, 3), (3,)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match="picture"):
        png(np.zeros(shape, np.uint8))


def test_an_address_holds_the_file():
    assert data_uri(b"\x00\xff") == "data:image/png;base64,AP8="
