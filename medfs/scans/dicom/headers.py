"""The header of one DICOM file: a light walk for the usual encodings, pydicom for all others."""

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans.dicom import elements, tags
from medfs.scans.files import ScanFile
from medfs.scans.guards import reading
from medfs.scans.names import first_element

# Most headers are smaller; a longer one is read again in larger pieces.
_FIRST_BLOCK = 1 << 14
# No header is as large; a deflated file that inflates further is a bomb.
_MAX_INFLATED = 1 << 30
_EXPLICIT_PADDED = b"1.2.840.10008.1.2.1".ljust(len(elements.DEFLATED), b"\0")
_EXPORT = "Export or copy the series again"


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """What the index keeps of one DICOM file.

    Attributes:
        values: keyword to value, of `tags.TAGS`; empty elements are left out.
        syntax: UID of the transfer syntax, as stated by the file.
        pixels: offset and length (None: encapsulated) of the pixel data in the file; None where
            there are none, or where only pydicom can find them.
        has_pixels: whether the file holds pixel data.
        explicit: whether value representations are written out.
    """

    file: ScanFile
    values: dict[str, Any]
    syntax: str
    pixels: tuple[int, int | None] | None
    has_pixels: bool
    explicit: bool = True

    @property
    def name(self) -> str:
        return self.file.name

    def text(self, keyword: str) -> str:
        """The value as text; values of several parts are joined by a backslash."""
        value = self.values.get(keyword, "")
        return "\\".join(map(str, value)) if isinstance(value, tuple) else str(value)

    def number(self, keyword: str) -> float | None:
        """The first number of the attribute."""
        value = self.values.get(keyword)
        if not value:
            return None
        try:
            return float(value[0] if isinstance(value, tuple) else value)
        except ValueError:
            return None

    @property
    def sop_class(self) -> str:
        return self.text("SOPClassUID")

    @property
    def frames(self) -> int:
        return int(self.values.get("NumberOfFrames", 1))

    @property
    def image_type(self) -> tuple[str, ...]:
        return tuple(v.upper() for v in self.values.get("ImageType", ()))


def read_header(file: ScanFile) -> Header | str:
    """The header, or why the file is none of DICOM's.

    Raises:
        ScanReadError: a DICOM file whose header is damaged or cut short.
        GeometryError: a number in it that is none.
    """
    with reading(file.name):
        block = file.read(0, _FIRST_BLOCK)
        if first_element(block) is None:
            return "not a DICOM file"
        try:
            found = _walk(file, block)
        except elements.TruncatedError:
            if block[128:132] != b"DICM":
                return "not a DICOM file"
            raise ScanReadError(
                "a DICOM file is truncated",
                why=f"{file.name} ends within its header, after {file.size} bytes",
                todo=_EXPORT,
            ) from None
        except elements.DisorderError as error:
            raise out_of_order(file.name, error) from error
        if found is None:
            return _with_pydicom(file)
        syntax = found.values.get(elements.TRANSFER_SYNTAX, b"").decode("latin-1").strip("\0 ")
        values = _interpret(file, found.values)
        if not syntax and "SOPClassUID" not in values:
            return "not a DICOM file"
        has_pixels = found.pixels is not None
        return Header(file, values, syntax, found.pixels, has_pixels, found.explicit)


def _walk(file: ScanFile, block: bytes) -> elements.Elements | None:
    while True:
        try:
            return elements.walk(block, file.size, tags.WANTED)
        except elements.TruncatedError:
            if len(block) >= file.size:
                raise
            block = file.read(0, min(len(block) * 8, file.size))


def _interpret(file: ScanFile, raw: dict[int, bytes]) -> dict[str, Any]:
    try:
        values = tags.interpret(raw)
    except ValueError as error:
        raise GeometryError(
            "an attribute of an image is damaged", why=f"In {file.name}, {error}", todo=_EXPORT
        ) from error
    charset = values.get("SpecificCharacterSet")
    if charset and not values.get("SeriesDescription", "").isascii():
        from pydicom.charset import convert_encodings, decode_bytes

        described = raw[0x0008103E]
        decoded = decode_bytes(described, convert_encodings(list(charset)), set())
        values["SeriesDescription"] = decoded.strip("\0 ")
    return values


def _with_pydicom(file: ScanFile) -> Header | str:
    import pydicom

    content = file.read()
    plain = inflated(file, content)
    dataset = pydicom.dcmread(BytesIO(plain), force=True)
    _check_order(file.name, plain, dataset)
    values: dict[str, Any] = {}
    for tag, (keyword, meaning) in tags.TAGS.items():
        element = dataset.get(tag)
        if element is not None and (element.VR == "SQ" or element.value not in (None, "", b"")):
            values[keyword] = tags.from_pydicom(element.value, meaning)
    if "SOPClassUID" not in values:
        return "not a DICOM image (no class stated)"
    has_pixels = any(tag in dataset for tag in (0x7FE00008, 0x7FE00009, 0x7FE00010))
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    if plain is not content:
        syntax = elements.DEFLATED.decode()
    return Header(file, values, syntax, None, has_pixels)


def _check_order(name: str, content: bytes, dataset: Any) -> None:
    """What the light walk checks as it goes, for files that pydicom reads."""
    from pydicom.filereader import data_element_generator

    stream = BytesIO(content)
    stream.seek(elements.walk_meta(content, first_element(content) or 0, {}))
    last = 0
    for element in data_element_generator(stream, *dataset.original_encoding):
        if element.tag <= last:
            raise out_of_order(name, elements.disorder(int(element.tag), last))
        last = int(element.tag)


def out_of_order(name: str, error: elements.DisorderError) -> ScanReadError:
    """The error for a file whose elements may be read in two ways."""
    return ScanReadError(
        "the elements of a DICOM file are not in order",
        why=f"In {name}, {error}, where numbers must rise (PS3.5 7.1): readers may see different "
        "values",
        todo="Export the series again, or have another program rewrite the file",
    )


def read_dataset(file: ScanFile, *, stop_before_pixels: bool) -> Any:
    """The file as pydicom reads it; deflated files are inflated up to a limit first.

    Raises:
        ScanReadError: damaged, or inflating without end.
    """
    import pydicom

    with reading(file.name):
        content = inflated(file, file.read())
        return pydicom.dcmread(BytesIO(content), stop_before_pixels=stop_before_pixels, force=True)


def inflated(file: ScanFile, content: bytes) -> bytes:
    """The file with its data set inflated and called explicit little endian, where it is deflated.

    Any other file comes back as the same object.

    pydicom inflates whatever it is given; a file of a megabyte may hold a gigabyte of zeros.
    """
    head: dict[int, bytes] = {}
    start = first_element(content)
    if start is None:
        return content
    data = elements.walk_meta(content, start, head)
    if head.get(elements.TRANSFER_SYNTAX, b"").rstrip(b"\0 ") != elements.DEFLATED:
        return content
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    body = engine.decompress(content[data:], _MAX_INFLATED)
    if engine.unconsumed_tail or not engine.eof:
        raise ScanReadError(
            "a deflated DICOM file is cut short, or inflates without end",
            why=f"{file.name} has {len(content)} bytes and gives {len(body)} so far",
            todo=_EXPORT,
        )
    # The same length, so that the group length stays right; UIDs are padded with zeros.
    meta = content[:data].replace(elements.DEFLATED, _EXPLICIT_PADDED, 1)
    return meta + body
