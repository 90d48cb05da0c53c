"""The light walk sees what pydicom sees, in every file it accepts."""

import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from medfs.core.errors import MedfsError
from medfs.scans.dicom import elements, tags
from medfs.scans.dicom.headers import Header, read_dataset, read_header
from medfs.scans.files import find_files

# Only what comes with pydicom: its own listing would try to download more.
FILES = sorted(Path(str(get_testdata_file("CT_small.dcm", download=False))).parent.glob("*.dcm"))


def of_pydicom(file):
    dataset = read_dataset(file, stop_before_pixels=True)
    found = {}
    for tag, (keyword, meaning) in tags.TAGS.items():
        element = dataset.get(tag)
        if element is not None and (element.VR == "SQ" or element.value not in (None, "", b"")):
            found[keyword] = tags.from_pydicom(element.value, meaning)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_values_are_those_of_pydicom(path):
    (file,) = find_files(path)
    try:
        header = read_header(file)
    except MedfsError:
        pytest.skip("refused")
    if not isinstance(header, Header) or header.pixels is None:
        pytest.skip("read by pydicom itself, or not an image")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = of_pydicom(file)
        dataset = pydicom.dcmread(path, force=True)
    filled = {k: v for k, v in header.values.items() if v not in ("", ())}
    assert filled == {k: v for k, v in expected.items() if v not in ("", ())}
    begin, length = header.pixels
    if length is not None:
        assert path.read_bytes()[begin : begin + length][:64] == dataset.PixelData[:64]


def test_the_pixels_of_a_compressed_file_are_encapsulated(shared):
    for number in (4, 5, 7, 9):
        (file,) = find_files(shared / f"dicom/transfer_syntaxes/In/{number}.dcm")
        header = read_header(file)
        assert isinstance(header, Header)
        assert header.pixels is not None
        assert header.pixels[1] is None


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_end_in_an_answer_or_a_typed_error(content, preamble):
    block = bytes(128) + b"DICM" + content if preamble else b"\x08\x00\x05\x00" + content
    try:
        found = elements.walk(block, len(block), tags.WANTED)
    except (elements.TruncatedError, ValueError, RecursionError):
        return
    assert found is None or found.end <= len(block)


def test_nesting_without_end_is_refused():
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff"
    block = bytes(128) + b"DICM" + (sequence + item) * 10_000
    with pytest.raises(RecursionError, match="nested"):
        elements.walk(block, len(block), tags.WANTED)
