"""DICOM files of masks: what class they are, and their data set."""

from pathlib import Path
from typing import Any

from medfs.scans.dicom.headers import Header, read_dataset, read_header
from medfs.scans.files import ScanFile
from medfs.scans.guards import reading

# PS3.4 B.5: Segmentation, Label Map Segmentation, RT Structure Set.
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"


def sop_class(path: Path) -> str:
    """The SOP class of a DICOM file, empty for other files; little more than its header is read.

    Raises:
        ScanReadError: a DICOM file whose header is damaged.
    """
    found = read_header(_file(path))
    return found.sop_class if isinstance(found, Header) else ""


def load(path: Path) -> Any:
    """The data set of a DICOM file, with its pixels.

    Raises:
        ScanReadError: damaged, or inflating without end.
    """
    return read_dataset(_file(path), stop_before_pixels=False)


def _file(path: Path) -> ScanFile:
    with reading(path.name):
        return ScanFile(path, None, path.stat().st_size)
