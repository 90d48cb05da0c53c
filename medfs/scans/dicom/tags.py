"""The attributes that the index keeps of an image, and what their bytes mean."""

from collections.abc import Callable
from typing import Any

import numpy as np

Value = str | int | tuple[str, ...] | tuple[float, ...]


def _text(raw: bytes) -> str:
    # ISO 8859-1 maps every byte; descriptions in other character sets are compared, not shown off.
    return raw.decode("latin-1").strip("\0 ")


def _texts(raw: bytes) -> tuple[str, ...]:
    text = _text(raw)
    return tuple([v.strip() for v in text.split("\\")]) if text else ()


def _decimals(raw: bytes) -> tuple[float, ...]:
    text = _text(raw)
    return tuple(map(float, text.split("\\"))) if text else ()


def _integer(raw: bytes) -> int | str:
    text = _text(raw)
    return int(text) if text else ""


def _short(raw: bytes) -> int:
    return int.from_bytes(raw[:2], "little")


def _doubles(raw: bytes) -> tuple[float, ...]:
    return tuple(float(v) for v in np.frombuffer(raw, "<f8"))


def _present(_: bytes) -> str:
    return "present"


# tag: (keyword, meaning of the bytes)
TAGS: dict[int, tuple[str, Callable[[bytes], Value]]] = {
    0x00080005: ("SpecificCharacterSet", _texts),
    0x00080008: ("ImageType", _texts),
    0x00080016: ("SOPClassUID", _text),
    0x00080018: ("SOPInstanceUID", _text),
    0x00080020: ("StudyDate", _text),
    0x00080022: ("AcquisitionDate", _text),
    0x00080031: ("SeriesTime", _text),
    0x00080032: ("AcquisitionTime", _text),
    0x00080033: ("ContentTime", _text),
    0x00080060: ("Modality", _text),
    0x0008103E: ("SeriesDescription", _text),
    0x00180050: ("SliceThickness", _decimals),
    0x00180081: ("EchoTime", _decimals),
    0x00180088: ("SpacingBetweenSlices", _decimals),
    0x00181060: ("TriggerTime", _decimals),
    0x00181120: ("GantryDetectorTilt", _decimals),
    0x00189087: ("DiffusionBValue", _doubles),
    0x0020000D: ("StudyInstanceUID", _text),
    0x0020000E: ("SeriesInstanceUID", _text),
    0x00200011: ("SeriesNumber", _text),
    0x00200012: ("AcquisitionNumber", _text),
    0x00200013: ("InstanceNumber", _text),
    0x00200032: ("ImagePositionPatient", _decimals),
    0x00200037: ("ImageOrientationPatient", _decimals),
    0x00200052: ("FrameOfReferenceUID", _text),
    0x00200100: ("TemporalPositionIdentifier", _text),
    0x00280002: ("SamplesPerPixel", _short),
    0x00280004: ("PhotometricInterpretation", _text),
    0x00280008: ("NumberOfFrames", _integer),
    0x00280010: ("Rows", _short),
    0x00280011: ("Columns", _short),
    0x00280030: ("PixelSpacing", _decimals),
    0x00280100: ("BitsAllocated", _short),
    0x00280101: ("BitsStored", _short),
    0x00280102: ("HighBit", _short),
    0x00280103: ("PixelRepresentation", _short),
    0x00281052: ("RescaleIntercept", _decimals),
    0x00281053: ("RescaleSlope", _decimals),
    0x00281054: ("RescaleType", _text),
    0x00282110: ("LossyImageCompression", _text),
    0x00283000: ("ModalityLUTSequence", _present),
    0x00190010: ("SiemensCreator", _text),
    0x0019100C: ("SiemensBValue", _texts),
    0x00430010: ("GeCreator", _text),
    0x0043102F: ("GeComponent", _short),
    0x00431039: ("GeBValue", _texts),
    0x52009230: ("PerFrameFunctionalGroupsSequence", _present),
}
# Value representations whose bytes mean what is expected; UN is what a copyist did not know.
_AS_TEXT = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT UN".split())
_REPRESENTATIONS: dict[Callable[[bytes], Value], frozenset[bytes]] = {
    _text: _AS_TEXT,
    _texts: _AS_TEXT,
    _decimals: frozenset((b"DS", b"IS", b"UN")),
    _integer: frozenset((b"IS", b"UN")),
    _short: frozenset((b"US", b"SS", b"UN")),
    _doubles: frozenset((b"FD", b"UN")),
    _present: frozenset((b"SQ", b"UN")),
}
WANTED = {tag: _REPRESENTATIONS[meaning] for tag, (_, meaning) in TAGS.items()}


def interpret(values: dict[int, bytes]) -> dict[str, Any]:
    """Keyword to value, for the tags whose value is not empty (or which are only marked present).

    Raises:
        ValueError: a number that is none; the message names the attribute.
    """
    found: dict[str, Any] = {}
    for tag, raw in values.items():
        if tag not in TAGS:
            continue
        keyword, meaning = TAGS[tag]
        try:
            value = meaning(raw)
            if value != "" and value != ():
                found[keyword] = value
        except ValueError as error:
            raise ValueError(f"{keyword} holds {_text(raw[:40])!r}") from error
    return found


def from_pydicom(value: Any, meaning: Callable[[bytes], Value]) -> Value:
    """A value as pydicom gives it, in the form that `interpret` gives.

    Raises:
        ValueError: a number that is none.
    """
    if meaning is _present:
        return "present"
    parts = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    if meaning in (_decimals, _doubles):
        return tuple(float(part) for part in parts)
    if meaning in (_integer, _short):
        return int(parts[0])
    texts = tuple(str(part).strip("\0 ") for part in parts)
    return texts if meaning is _texts else "\\".join(texts)
