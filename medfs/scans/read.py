"""One call for every kind of scan, and masks on the grid of their scan."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from medfs.core.errors import GeometryError, ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.cohorts.layout import READABLE
from medfs.scans.dicom import read_series
from medfs.scans.grids import corner_distance, describe, spacing_of
from medfs.scans.names import is_dicom, is_nifti
from medfs.scans.nifti import read_nifti

# Affines of one grid differ by float32 or by direction cosines with few decimals. A twentieth of a
# voxel moves no voxel of the mask; a mask drawn on another grid is off by far more.
_SAME_GRID = 0.05


def read_volume(path: Path) -> Volume:
    """Read a NIfTI file, or a folder holding one DICOM series.

    Raises:
        ScanReadError: missing, damaged, or of a kind that is not read.
        GeometryError: not one volume whose voxels have a known place.
        MissingExtraError: a decoder is not installed.
    """
    if not _exists(path):
        raise ScanReadError(
            f"{path.name} does not exist",
            why=f"There is nothing at {path}",
            todo="Check the path, and that the disk or share is connected",
        )
    if path.is_dir():
        return read_series(path)
    if is_nifti(path) or path.suffix.lower() == ".img":
        return read_nifti(path)
    if is_dicom(path):
        raise GeometryError(
            "one slice is not a volume",
            why=f"{path.name} is a single DICOM file",
            todo="Give the folder of its series",
        )
    raise ScanReadError(f"{path.name} is not a scan that can be read", why=READABLE)


def read_mask(path: Path, like: Volume) -> Bool[np.ndarray, "x y z"]:
    """Read a region of interest drawn on the grid of `like`; non-zero voxels are inside.

    The grids are the same when the shapes are equal and no corner of one lies more than 0.05 of
    the smallest spacing away from the other's, after both are in RAS order.

    Raises:
        GeometryError: the mask lies on another grid.
        ScanReadError: damaged, empty, or holding several labels.
    """
    if not _exists(path):
        raise ScanReadError(
            f"the mask {path.name} does not exist",
            why=f"There is nothing at {path}",
            todo="Check the path of the mask, or leave the mask out",
        )
    if path.is_dir() or not (is_nifti(path) or path.suffix.lower() == ".img"):
        raise ScanReadError(
            f"{path.name} is not a mask that can be read",
            why="Masks are read from .nii, .nii.gz and .hdr/.img pairs",
            todo="Save the mask as NIfTI on the grid of the scan",
        )
    mask = read_nifti(path)
    _refuse_other_grid(mask, like)
    labels = np.unique(mask.voxels)
    labels = labels[labels != 0]
    if not len(labels):
        raise ScanReadError(
            "the mask is empty",
            why=f"All voxels of {path.name} are 0",
            todo="Draw the region, or leave the mask out",
        )
    if len(labels) > 1:
        shown = ", ".join(f"{v:g}" for v in labels[:8]) + (", …" if len(labels) > 8 else "")
        raise ScanReadError(
            "the mask holds several labels",
            why=f"{path.name} holds {len(labels)} values besides 0: {shown}",
            todo="Save a mask in which only the region of interest is not 0",
        )
    return mask.voxels[0] != 0


def _refuse_other_grid(mask: Volume, like: Volume) -> None:
    shape, other = mask.voxels.shape[1:], like.voxels.shape[1:]
    allowed = _SAME_GRID * float(spacing_of(like.affine).min())
    if shape == other and corner_distance(other, mask.affine, like.affine) <= allowed:
        return
    raise GeometryError(
        "the mask does not lie on the grid of the scan",
        why=f"The mask has {describe(shape, mask.affine)}; "
        f"the scan has {describe(other, like.affine)} (both in RAS order)",
        todo="Resample the mask to the scan with nearest neighbour, or draw it on this scan",
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, no permission, or a zero byte in the name
        return False
