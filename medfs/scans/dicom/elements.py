"""The top-level elements of a DICOM file, found without interpreting what lies between them.

An index of thousands of files needs some forty of the hundred elements of each. This walks the
explicit and implicit little-endian encodings (PS3.5 7.1, which all compressed syntaxes share) and
keeps the bytes of the wanted elements. Whatever is unusual (big endian, deflated, unknown or
unexpected value representations, nested UN) gives None: pydicom reads those files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from medfs.scans.names import first_element

_GROUP_ELEMENT, _LENGTH = Struct("<HH"), Struct("<I")
_SHORT = Struct("<HH2sH")
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_VRS = _LONG_VRS | _SHORT_VRS
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = range(0x7FE00008, 0x7FE00011)
_META_GROUP = 0x0002
TRANSFER_SYNTAX = 0x00020010
IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED = (
    b"1.2.840.10008.1.2",
    b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.1.99",
)
# Deeper nesting than any real object has; beyond it a file means harm.
_MAX_DEPTH = 32


class TruncatedError(Exception):
    """The block ends within an element: more bytes are needed, or the file is cut short."""


class DisorderError(Exception):
    """An element does not come after the one before it, as PS3.5 7.1 asks.

    Out of order, an element may stand twice, or behind the pixels where no reader of headers looks:
    two programs would see two images.
    """


Wanted = Mapping[int, frozenset[bytes]]


@dataclass(frozen=True, slots=True)
class Elements:
    """Raw values by tag, and where the pixels lie.

    Attributes:
        values: tag (group << 16 | element) to the bytes of its value; presence alone for sequences.
        pixels: offset and length of the pixel data's value (length None where it is encapsulated);
            None if the file has no pixels.
        end: where the walk ended: at the pixels, or at the end of the file.
        explicit: whether value representations are written out.
    """

    values: dict[int, bytes]
    pixels: tuple[int, int | None] | None
    end: int
    explicit: bool


def walk(block: bytes, size: int, wanted: Wanted) -> Elements | None:
    """The wanted elements of a file that begins with `block`; None where pydicom must read it.

    Args:
        block: the first bytes of the file, or all of them.
        size: bytes of the whole file.
        wanted: tags to keep, with the value representations that are expected of them.

    Raises:
        TruncatedError: an element before the pixels ends beyond the block.
        DisorderError: the elements do not ascend.
    """
    start = first_element(block)
    if start is None:
        return None
    values: dict[int, bytes] = {}
    start = walk_meta(block, start, values)
    syntax = values.get(TRANSFER_SYNTAX, b"").rstrip(b"\0 ")
    if syntax in (EXPLICIT_BIG, DEFLATED):
        return None
    explicit = syntax != IMPLICIT_LITTLE if syntax else block[start + 4 : start + 6] in _VRS
    return _walk_data(block, size, start, wanted, values, explicit=explicit)


def walk_meta(block: bytes, position: int, values: dict[int, bytes]) -> int:
    """Group 2 is always explicit little endian (PS3.10 7.1)."""
    while position + 8 <= len(block):
        group, _ = _GROUP_ELEMENT.unpack_from(block, position)
        if group != _META_GROUP:
            break
        tag, begin, length = _explicit(block, position)
        if length == _UNDEFINED or begin + length > len(block):
            raise TruncatedError
        if tag == TRANSFER_SYNTAX:
            values[tag] = block[begin : begin + length]
        position = begin + length
    return position


def _walk_data(  # noqa: C901  (the innermost loop of every index)
    block: bytes,
    size: int,
    position: int,
    wanted: Wanted,
    values: dict[int, bytes],
    *,
    explicit: bool,
) -> Elements | None:
    # The innermost loop of every index: calls are avoided where nothing unusual is met.
    unpack, short_vrs, stop = _SHORT.unpack_from, _SHORT_VRS, len(block) - 8
    read, last = _explicit if explicit else _implicit, 0
    while position < size:
        if position > stop:
            raise TruncatedError
        group, element, vr, length = unpack(block, position)
        tag, begin = group << 16 | element, position + 8
        plain = explicit and vr in short_vrs
        if not plain:
            tag, begin, length = read(block, position)
        if tag <= last:
            raise disorder(tag, last)
        last = tag
        if not plain and (length < 0 or length == _UNDEFINED or tag in _PIXELS):
            ended = _special(tag, begin, length)
            if ended is not None or not _is_sequence(vr, explicit):
                return None if ended is None else Elements(values, ended, begin, explicit)
            position = _skip_items(block, begin, explicit=explicit, depth=0)
            if tag in wanted:
                values[tag] = b""
            continue
        position = begin + length
        if tag in wanted:
            if explicit and vr not in wanted[tag]:
                return None
            if position > len(block):
                raise TruncatedError
            values[tag] = block[begin:position]
    if position > size:
        raise TruncatedError
    return Elements(values, None, position, explicit)


def disorder(tag: int, last: int) -> DisorderError:
    """The error that says which element stands where."""
    return DisorderError(f"{_shown(tag)} comes after {_shown(last)}")


def _shown(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def check_tail(content: bytes, pixels: tuple[int, int | None], *, explicit: bool) -> None:
    """Refuse elements behind the pixels that belong before them.

    Padding, signatures and zeros up to the end of a disk block may follow.

    Args:
        content: the whole file.
        pixels: offset and length of the pixel data, as `Elements` has them.
        explicit: the encoding of the data set.

    Raises:
        DisorderError: the elements do not ascend.
        TruncatedError: what follows is cut short, or is no element.
    """
    begin, length = pixels
    if length is None:
        position = _skip_items(content, begin, explicit=explicit, depth=0)
    else:
        position = begin + length
    last = _PIXELS[-1]
    read = _explicit if explicit else _implicit
    while position < len(content) and content[position:].strip(b"\0"):
        tag, begin, length = read(content, position)
        if tag <= last:
            raise disorder(tag, last)
        if length < 0:
            raise TruncatedError
        position, last = begin + length, tag
        if length == _UNDEFINED:
            position = _skip_items(content, begin, explicit=explicit, depth=0)
    if position > len(content):
        raise TruncatedError


def _special(tag: int, begin: int, length: int) -> tuple[int, int | None] | None:
    """Place and length of the pixels, if these are the pixels."""
    if tag not in _PIXELS or length < 0:
        return None
    return begin, None if length == _UNDEFINED else length


def _is_sequence(vr: bytes, explicit: bool) -> bool:
    return not explicit or vr == b"SQ"


def _explicit(block: bytes, position: int) -> tuple[int, int, int]:
    """(tag, offset of the value, its length); length −1 for an unknown value representation."""
    if position + 8 > len(block):
        raise TruncatedError
    group, element, vr, length = _SHORT.unpack_from(block, position)
    tag = group << 16 | element
    if vr in _LONG_VRS:
        if position + 12 > len(block):
            raise TruncatedError
        return tag, position + 12, _LENGTH.unpack_from(block, position + 8)[0]
    if vr in _VRS:
        return tag, position + 8, length
    return tag, position + 8, -1


def _implicit(block: bytes, position: int) -> tuple[int, int, int]:
    if position + 8 > len(block):
        raise TruncatedError
    group, element = _GROUP_ELEMENT.unpack_from(block, position)
    return group << 16 | element, position + 8, _LENGTH.unpack_from(block, position + 4)[0]


def _skip_items(block: bytes, position: int, *, explicit: bool, depth: int) -> int:
    """The offset behind a sequence of undefined length (PS3.5 7.5)."""
    if depth > _MAX_DEPTH:
        raise RecursionError(f"sequences are nested more than {_MAX_DEPTH} deep")
    while True:
        tag, begin, length = _implicit(block, position)
        if tag == _SEQUENCE_END:
            return begin
        if tag != _ITEM:
            raise ValueError(f"a sequence holds the tag {tag:08x} where an item belongs")
        position = begin + length
        if length == _UNDEFINED:
            position = _skip_item(block, begin, explicit=explicit, depth=depth)


def _skip_item(block: bytes, position: int, *, explicit: bool, depth: int) -> int:
    read = _explicit if explicit else _implicit
    while True:
        tag, begin, length = _implicit(block, position)
        if tag == _ITEM_END:
            return begin
        tag, begin, length = read(block, position)
        if length < 0:
            raise ValueError(f"element {tag:08x} has an unknown value representation")
        position = begin + length
        if length == _UNDEFINED:
            position = _skip_items(block, begin, explicit=explicit, depth=depth + 1)
