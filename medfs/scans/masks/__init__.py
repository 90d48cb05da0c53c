"""Regions of interest, from whatever file they were drawn in, on the grid of their scan.

Read are NIfTI label maps, DICOM segmentations (SEG) and DICOM contours (RTSTRUCT). highdicom is
imported when the pixels of a segmentation are decoded, and not before.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from medfs.core.errors import ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.masks.choice import Label
from medfs.scans.masks.dicom_files import RT_STRUCTURE_SET, SEGMENTATIONS, sop_class
from medfs.scans.masks.label_maps import read_label_map
from medfs.scans.masks.onto import onto
from medfs.scans.masks.regions import Roi
from medfs.scans.names import exists, is_nifti, visible

__all__ = ["Roi", "read_mask", "read_roi"]

_READABLE = (
    "Masks are read from .nii, .nii.gz, .hdr/.img pairs, DICOM SEG and DICOM RTSTRUCT files, and "
    "from folders that hold one such DICOM file"
)
_SAVE = "Save the mask as NIfTI, DICOM SEG or RTSTRUCT, or leave the mask out"


def read_mask(path: Path, like: Volume, *, label: Label = None) -> Bool[np.ndarray, "x y z"]:
    """The region of interest in `path`, on the grid of `like`; see `read_roi`."""
    return read_roi(path, like, label=label).mask


def read_roi(path: Path, like: Volume, *, label: Label = None) -> Roi:
    """Read one region of interest, with what was done to bring it onto the grid of `like`.

    Args:
        path: a NIfTI label map, a DICOM SEG or RTSTRUCT file, or a folder that holds exactly one
            such DICOM file.
        like: the scan; its grid may be rotated or sheared.
        label: number or name of the region. Names are compared without case; a text of digits is a
            number unless a name equals it. None stands for the only region of the file.

    Returns:
        Voxels whose centre lies in the region, and notes about the choice and the resampling.

    Raises:
        GeometryError: the region lies outside the scan, is too small for its voxels, or its place
            is contradictory.
        ScanReadError: damaged, empty, not a mask, or a label that names not exactly one region.
        MissingExtraError: the mask is compressed and its decoder is not installed.
    """
    if not exists(path):
        raise ScanReadError(
            f"the mask {path.name} does not exist",
            why=f"There is nothing at {path}",
            todo="Check the path of the mask, or leave the mask out",
        )
    if path.is_dir():
        path = _only_mask_in(path)
    if is_nifti(path) or path.suffix.lower() == ".img":
        return onto(read_label_map(path, label), like)
    kind = sop_class(path) if path.is_file() else ""
    if kind in SEGMENTATIONS:
        from medfs.scans.masks.segmentations import read_segmentation

        return onto(read_segmentation(path, label), like)
    if kind == RT_STRUCTURE_SET:
        from medfs.scans.masks.structure_sets import read_structure

        return read_structure(path, like, label)
    raise ScanReadError(f"{path.name} is not a mask that can be read", why=_READABLE, todo=_SAVE)


def _only_mask_in(folder: Path) -> Path:
    """The one DICOM mask that lies directly in the folder; other files do not matter."""
    files = [p for p in visible(folder) if p.is_file()]
    masks = [p for p in files if sop_class(p) in (*SEGMENTATIONS, RT_STRUCTURE_SET)]
    if len(masks) == 1:
        return masks[0]
    if not masks:
        raise ScanReadError(
            f"the folder {folder.name} is not a mask that can be read",
            why=f"None of its files is a DICOM SEG or RTSTRUCT. {_READABLE}",
            todo=_SAVE,
        )
    shown = ", ".join(p.name for p in masks[:8]) + (", …" if len(masks) > 8 else "")
    raise ScanReadError(
        f"the folder {folder.name} holds several masks",
        why=f"{len(masks)} of its files are DICOM SEG or RTSTRUCT: {shown}",
        todo="Give the path of the one that is meant",
    )
