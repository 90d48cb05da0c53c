"""DICOM files of masks: what class they are, and their data set."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from medfs.core.errors import ScanReadError
from medfs.scans.guards import reading
from medfs.scans.names import has_prefix

# PS3.4 B.5: Segmentation, Label Map Segmentation, RT Structure Set.
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"

_SOP_CLASS = 0x00080016
_DEFLATED = "1.2.840.10008.1.2.1.99"
# Preamble, prefix, and the element that states the length of what follows (PS3.10 7.1).
_BEFORE_META = 128 + 4 + 12
# No mask inflates further; a file that does is a bomb.
_MAX_INFLATED = 1 << 30


def sop_class(path: Path) -> str:
    """The SOP class of a DICOM file, empty for other files; little more than its start is read.

    Raises:
        ScanReadError: damaged before the class is stated.
    """
    from pydicom.filereader import read_file_meta_info, read_partial

    with reading(path.name):
        if has_prefix(path):
            meta = read_file_meta_info(path)
            if str(meta.get("TransferSyntaxUID", "")) == _DEFLATED:
                return str(meta.get("MediaStorageSOPClassUID", ""))
        elif not _begins_with_data(path):
            return ""
        with path.open("rb") as file:
            head = read_partial(file, stop_when=lambda tag, *_: tag > _SOP_CLASS, force=True)
        return str(head.get("SOPClassUID", ""))


def load(path: Path) -> Any:
    """The data set of a DICOM file, with its pixels.

    Raises:
        ScanReadError: damaged, or inflating without end.
    """
    from pydicom import dcmread

    with reading(path.name):
        _refuse_bomb(path)
        # From bytes: a lying length would make a file object ask for that much memory.
        return dcmread(BytesIO(path.read_bytes()), force=True)


def _begins_with_data(path: Path) -> bool:
    """Old planning systems leave out preamble, prefix and meta information: group 8 is first."""
    with path.open("rb") as file:
        group, element = struct.unpack("<HH", file.read(4).ljust(4, b"\xff"))
    return group == 0x0008 and element < 0x0020


def _refuse_bomb(path: Path) -> None:
    """pydicom inflates whatever it is given, so that the size is counted before."""
    from pydicom.filereader import read_file_meta_info

    if not has_prefix(path):
        return
    meta = read_file_meta_info(path)
    if str(meta.get("TransferSyntaxUID", "")) != _DEFLATED:
        return
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    content = path.read_bytes()
    rest, size = content[_BEFORE_META + int(meta.FileMetaInformationGroupLength) :], 0
    while rest and not inflate.eof:
        size += len(inflate.decompress(rest, 1 << 20))
        rest = inflate.unconsumed_tail
        if size > _MAX_INFLATED:
            raise ScanReadError(
                f"{path.name} inflates without end",
                why=f"Its {len(content)} bytes hold more than {_MAX_INFLATED}",
                todo="Export the mask again",
            )
