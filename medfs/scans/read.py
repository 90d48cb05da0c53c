"""One call for every kind of scan, and masks on the grid of their scan."""

from pathlib import Path

from medfs.core.errors import ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.cohorts.layout import READABLE
from medfs.scans.dicom import read_series
from medfs.scans.masks import read_mask
from medfs.scans.names import exists, is_archive, is_dicom, is_nifti
from medfs.scans.nifti import read_nifti
from medfs.scans.options import DEFAULT, ReadOptions

__all__ = ["read_mask", "read_volume"]


def read_volume(path: Path, options: ReadOptions = DEFAULT) -> Volume:
    """Read a NIfTI file, or the one volume of a DICOM folder tree, zip, DICOMDIR or file.

    Args:
        path: the scan.
        options: which DICOM series, and what to do with 4D, tilt and PET; NIfTI needs none.

    Raises:
        ScanReadError: missing, damaged, or of a kind that is not read.
        GeometryError: not one volume whose voxels have a known place, or no clear choice.
        MissingExtraError: a decoder is not installed.
    """
    if not exists(path):
        raise ScanReadError(
            f"{path.name} does not exist",
            why=f"There is nothing at {path}",
            todo="Check the path, and that the disk or share is connected",
        )
    if path.is_dir() or is_archive(path):
        return read_series(path, options)
    if is_nifti(path) or path.suffix.lower() == ".img":
        return read_nifti(path)
    if is_dicom(path):
        return read_series(path, options)
    raise ScanReadError(
        f"{path.name} is not a scan that can be read",
        why=READABLE,
        todo="Give a file or folder of one of these kinds",
    )
