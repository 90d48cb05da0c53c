"""`read_series`: a folder holding one DICOM series to `Volume`."""

from pathlib import Path

import numpy as np

from medfs.core.errors import ScanReadError
from medfs.core.volumes import Provenance, Volume
from medfs.scans.dicom.geometry import order_and_affine
from medfs.scans.dicom.headers import SLICE_CLASSES, read_headers
from medfs.scans.dicom.kinds import check_kinds
from medfs.scans.dicom.pixels import read_pixels
from medfs.scans.grids import to_ras
from medfs.scans.guards import reading


def read_series(folder: Path) -> Volume:
    """Read the one series of single-frame CT, MR or PET images that lies directly in `folder`.

    Slices are sorted by their place along the slice normal (DICOM PS3.3 C.7.6.2.1.1). The unit is
    `HU` for CT whose rescale states it or leaves it open, otherwise `arbitrary`.

    Returns:
        Volume with one channel, in RAS order; its provenance lists the files in slice order and
        what was skipped.

    Raises:
        GeometryError: several series, or images that do not form one regular, straight stack.
        ScanReadError: no image in the folder, or damaged files.
        MissingExtraError: a decoder is not installed.
    """
    if not folder.is_dir():
        raise ScanReadError(
            f"{folder.name} is not a folder", todo="Give the folder that holds one DICOM series"
        )
    with reading(folder.name):
        headers, skipped = read_headers(folder)
        check_kinds(headers)
        ordered, affine = order_and_affine(headers)
        stack = read_pixels(ordered)
        voxels, affine = to_ras(stack.voxels, affine)
    if stack.is_lossy:
        skipped += (("compression", "the images were compressed with loss"),)
    provenance = Provenance("dicom", tuple(h.name for h in ordered), stack.sha256, skipped)
    return Volume(
        voxels[np.newaxis],
        affine,
        SLICE_CLASSES[ordered[0].sop_class],
        "HU" if stack.is_hounsfield else "arbitrary",
        provenance,
    )
