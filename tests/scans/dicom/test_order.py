"""Elements out of order: two programs would see two images, so there is none."""

import struct

import numpy as np
import pytest

from medfs.core.errors import ScanReadError
from medfs.scans import read_mask, read_series

INTERCEPT = struct.pack("<HH2sH", 0x0028, 0x1052, b"DS", 4) + b"-500"
PADDING = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 6) + bytes(6)
EMPTY = struct.pack("<HH2sH", 0x0028, 0x1052, b"DS", 0)


@pytest.fixture
def series(tmp_path, write_series, random_stack):
    write_series(tmp_path / "s", random_stack())
    return tmp_path / "s"


def behind_the_pixels(folder, extra):
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes() + extra)


@pytest.mark.parametrize("extra", [INTERCEPT, EMPTY, PADDING + INTERCEPT, bytes(512) + INTERCEPT])
def test_a_rescale_behind_the_pixels_is_refused(series, extra):
    behind_the_pixels(series, extra)
    with pytest.raises(ScanReadError, match=r"not in order|something else follows"):
        read_series(series)


@pytest.mark.parametrize("extra", [PADDING, bytes(512), bytes(3), PADDING + bytes(100)])
def test_padding_may_follow_the_pixels(series, extra):
    plain = read_series(series)
    behind_the_pixels(series, extra)
    np.testing.assert_array_equal(read_series(series).voxels, plain.voxels)


def test_a_second_rescale_is_refused_with_both_tags(series):
    file = series / "I002"
    content = file.read_bytes()
    at = content.index(INTERCEPT[:4])
    file.write_bytes(content[:at] + INTERCEPT + content[at:])
    with pytest.raises(ScanReadError, match=r"I002, \(0028,1052\) comes after \(0028,1052\)"):
        read_series(series)


def test_other_encodings_are_held_to_the_same_order(tmp_path, write_series, random_stack):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    def deflated(ds, k):
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    write_series(tmp_path / "s", random_stack(), edit=deflated)
    assert read_series(tmp_path / "s").voxels.size
    import zlib

    file = tmp_path / "s" / "I001"
    content = file.read_bytes()
    length = struct.unpack_from("<I", content, 140)[0]
    start = 144 + length
    body = zlib.decompressobj(-15).decompress(content[start:]) + INTERCEPT
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(body) + packer.flush()
    file.write_bytes(content[:start] + packed + b"\0" * (len(packed) % 2))
    with pytest.raises(ScanReadError, match="not in order"):
        read_series(tmp_path / "s")


def test_ct_without_a_rescale_is_in_no_known_unit(tmp_path, write_series, random_stack):
    def drop(ds, k):
        del ds.RescaleIntercept

    write_series(tmp_path / "s", random_stack(), edit=drop)
    with pytest.raises(ScanReadError, match="does not say what its values mean"):
        read_series(tmp_path / "s")


def test_a_mask_that_states_four_gigabytes_takes_none(series, tmp_path):
    import tracemalloc

    volume = read_series(series)
    head = bytes(128) + b"DICM"
    lying = struct.pack("<HH2sHI", 0x0002, 0x0001, b"OB", 0, 0xFFFFFFF0)
    (tmp_path / "mask.dcm").write_bytes(head + lying + bytes(64))
    tracemalloc.start()
    with pytest.raises(ScanReadError):
        read_mask(tmp_path / "mask.dcm", volume)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 24


def test_an_unexpected_representation_is_read_as_the_file_states_it(series):
    """`1 ` as decimal string is 1, as the two bytes of a number 8241: pydicom decides."""
    import pydicom

    for file in series.iterdir():
        content = file.read_bytes()
        at = content.index(struct.pack("<HH2s", 0x0028, 0x1053, b"DS")) + 4
        file.write_bytes(content[:at] + b"US" + content[at + 2 :])
    slope = int(pydicom.dcmread(next(series.iterdir())).RescaleSlope)
    stored = pydicom.dcmread(series / "I000").pixel_array
    plane = read_series(series).voxels[0][:, :, 0]
    assert slope == 8241
    np.testing.assert_array_equal(
        np.sort(plane, None), np.sort((stored * 8241.0 - 1024).astype(np.float32), None)
    )
