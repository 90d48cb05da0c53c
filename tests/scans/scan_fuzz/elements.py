"""Damage to DICOM that knows the format: elements removed, doubled, swapped, and hostile values."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import Tag

from scan_fuzz.hostile import VALUES

Random = np.random.Generator
_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT", "SV", "UV")
_VRS = (*_LONG, "AE", "AT", "CS", "DA", "DS", "FD", "FL", "IS", "LO", "PN", "SS", "UI", "US", "ZZ")


class File:
    """A DICOM file taken apart: each element's own bytes, in the order of the file."""

    def __init__(self, content: bytes) -> None:
        self.ds = pydicom.dcmread(io.BytesIO(content), force=True)
        syntax = self.ds.file_meta.TransferSyntaxUID
        self.implicit, self.little = syntax.is_implicit_VR, syntax.is_little_endian
        self.deflated = syntax.is_deflated
        self.order = "<" if self.little else ">"

    def encoded(self, ds: pydicom.Dataset) -> list[bytes]:
        return [self.bytes_of(ds.get_item(tag)) for tag in sorted(ds.keys())]

    def bytes_of(self, element: object, meta: bool = False) -> bytes:
        file = DicomBytesIO()
        file.is_little_endian = self.little or meta
        file.is_implicit_VR = self.implicit and not meta
        write_data_element(file, element, "utf-8")
        return file.getvalue()

    def raw(self, tag: int, vr: str, value: bytes) -> RawDataElement:
        return RawDataElement(Tag(tag), vr, len(value), value, 0, self.implicit, self.little)

    def element(self, tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
        """An element whose length may be a lie."""
        length = len(value) if length is None else length
        head = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return head + struct.pack(f"{self.order}L", length) + value
        if vr in _LONG:
            return head + vr.encode() + bytes(2) + struct.pack(f"{self.order}L", length) + value
        return head + vr.encode() + struct.pack(f"{self.order}H", length & 0xFFFF) + value

    def join(self, elements: list[bytes]) -> bytes:
        meta = self.ds.file_meta
        head = b"".join(self.bytes_of(meta.get_item(tag), meta=True) for tag in sorted(meta.keys()))
        body = b"".join(elements)
        if self.deflated:
            squeezed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            body = squeezed.compress(body) + squeezed.flush()
        return bytes(128) + b"DICM" + head + body


def hostile_value(file: File, rng: Random) -> list[bytes]:
    """Values that no scanner writes, at the top or deep inside."""
    for _ in range(int(rng.integers(1, 4))):
        tag, vr, values = VALUES[int(rng.integers(len(VALUES)))]
        value = values[int(rng.integers(len(values)))]
        packed = struct.pack(f"{file.order}H", value) if isinstance(value, int) else value
        homes = [ds for ds in _datasets(file.ds) if tag in ds] or list(_datasets(file.ds))
        homes[int(rng.integers(len(homes)))][tag] = file.raw(tag, vr, packed)
    return file.encoded(file.ds)


def hostile_meta(file: File, rng: Random) -> list[bytes]:
    """Another transfer syntax or class than the bytes have."""
    texts = (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2")
    texts += (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.90", b"")
    texts += (b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.100", b"1.2.3", b"x" * 70)
    body = file.encoded(file.ds)
    tag = int(rng.choice([0x00020010, 0x00020010, 0x00020002, 0x00020000]))
    value = texts[int(rng.integers(len(texts)))]
    file.ds.file_meta[tag] = RawDataElement(Tag(tag), "UI", len(value), value, 0, False, True)
    return body


def delete_deep(file: File, rng: Random) -> list[bytes]:
    homes = [ds for ds in _datasets(file.ds) if len(ds)]
    home = homes[int(rng.integers(len(homes)))]
    tags = sorted(home.keys())
    del home[tags[int(rng.integers(len(tags)))]]
    return file.encoded(file.ds)


def shuffle_elements(file: File, rng: Random) -> list[bytes]:
    """One element doubled, moved to where another is, or with the value of another."""
    elements = file.encoded(file.ds)
    one, other = (int(k) for k in rng.integers(len(elements), size=2))
    how = int(rng.integers(3))
    if how == 0:
        elements.insert(other, elements[one])
    elif how == 1:
        elements[one], elements[other] = elements[other], elements[one]
    else:
        elements[one] = elements[one][:4] + elements[other][4:]
    return elements


def lying_length(file: File, rng: Random) -> list[bytes]:
    elements = file.encoded(file.ds)
    k = int(rng.integers(len(elements)))
    lengths = (0, 1, 3, 7, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 20)
    length = lengths[int(rng.integers(len(lengths)))]
    at = 4 if file.implicit or elements[k][4:6].decode("latin-1") not in _LONG else 8
    size = "L" if file.implicit or at == 8 else "H"
    at = at if file.implicit or at == 8 else 6
    lie = struct.pack(f"{file.order}{size}", length & (0xFFFF if size == "H" else 0xFFFFFFFF))
    elements[k] = elements[k][:at] + lie + elements[k][at + len(lie) :]
    return elements


def unknown_element(file: File, rng: Random) -> list[bytes]:
    elements = file.encoded(file.ds)
    group = int(rng.choice([0x0008, 0x0009, 0x0018, 0x0020, 0x0028, 0x5400, 0x7FE0, 0xFFFE]))
    tag, vr = group << 16 | int(rng.integers(0x10000)), _VRS[int(rng.integers(len(_VRS)))]
    length = None if rng.random() < 0.5 else int(rng.integers(1 << 32))
    new = file.element(tag, vr, rng.bytes(2 * int(rng.integers(20))), length)
    elements.insert(int(rng.integers(len(elements) + 1)), new)
    return elements


def deep_nesting(file: File, rng: Random) -> list[bytes]:
    """Sequences in sequences, closed or not, more of them than any stack has frames."""
    depth = int(rng.choice([30, 500, 10_000]))
    tag, order = int(rng.choice([0x00081140, 0x00091001, 0x52009229, 0x30060039])), file.order
    undefined = 0xFFFFFFFF
    opening = file.element(
        tag, "SQ", struct.pack(f"{order}HHL", 0xFFFE, 0xE000, undefined), -1 % 2**32
    )
    close = struct.pack(f"{order}HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    nested = opening * depth + (close * depth if rng.random() < 0.6 else b"")
    elements = file.encoded(file.ds)
    elements.insert(int(rng.integers(len(elements) + 1)), nested)
    return elements


OPERATIONS = (
    *(hostile_value, hostile_value, hostile_value, hostile_meta, delete_deep),
    *(shuffle_elements, lying_length, unknown_element, deep_nesting),
)


def _datasets(ds: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    yield ds
    for tag in sorted(ds.keys()):
        if ds.get_item(tag).VR == "SQ":
            for item in ds[tag].value:
                yield from _datasets(item)
