"""Texts without what headers say of a patient.

Notes and errors of medfs may quote headers, such as the description of a series, into which people
write names. What they say goes to logs and into an attachment that is copied on its own.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from medfs.core.errors import MedfsError
from medfs.scans.files.names import printable
from medfs.scans.guards import reading

CONCEALED = "[…]"
_WITHHELD = "the reason is withheld, as it may quote headers that cannot be searched for names"
_TEXTS = frozenset(("PN", "LO", "SH", "LT", "ST", "UT", "UC", "AE", "AS"))
_OF_PATIENT = 0x0010
# How a scan was acquired, and with what: words of medfs's own messages, and of no patient.
_TECHNICAL = 0x0018
_PROTOCOL = 0x00181030
_DEVICE = (0x00080070, 0x00081090)
# Shorter values are found between quotation marks only: they are parts of words and numbers.
_SHORT = 4


def nameless(text: str, folder: Path) -> str:
    """The text with every value of the patient's, and every free text, of these files concealed.

    Where a file cannot be searched, nothing of the text is shown.
    """
    if not text:
        return text
    try:
        values = {v for file in sorted(folder.iterdir()) for v in _values(file)}
    except MedfsError:
        return _WITHHELD
    # The longest first: a name may be part of a description.
    for value in sorted(values, key=len, reverse=True):
        text = _pattern(value).sub(CONCEALED, text)
    return text


def _values(file: Path) -> Iterator[str]:
    from pydicom import dcmread
    from pydicom.multival import MultiValue

    found = []
    with reading(file.name):
        headers = dcmread(BytesIO(file.read_bytes()), stop_before_pixels=True, force=True)
        for element in headers.iterall():
            if not _tells(int(element.tag), element.VR):
                continue
            value = element.value
            several = value if isinstance(value, MultiValue | list) else [value]
            found += [str(v) for v in several if v is not None]
    for text in found:
        # What medfs quotes is stripped, and has control characters replaced.
        yield from filter(None, (printable(part).strip() for part in (text, *_parts(text))))


def _tells(tag: int, representation: str) -> bool:
    group = tag >> 16
    if group == _OF_PATIENT:
        return representation not in ("SQ", "CS")
    if group == _TECHNICAL:
        return tag == _PROTOCOL
    return representation in _TEXTS and tag not in _DEVICE


def _parts(text: str) -> list[str]:
    """Components of a person's name."""
    parts = re.split(r"[\^=]", text)
    return [p for p in parts if len(p.strip()) >= _SHORT] if len(parts) > 1 else []


def _pattern(value: str) -> re.Pattern[str]:
    escaped = re.escape(value)
    if len(value) < _SHORT:
        escaped = rf"(?<=['\"]){escaped}(?=['\"])"
    return re.compile(escaped, re.IGNORECASE)
