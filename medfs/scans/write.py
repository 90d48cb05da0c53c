"""NIfTI files with stable bytes, written whole or not at all."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import DTypeLike

from medfs.core.errors import UsageError
from medfs.storage.files import write_bytes


def write_nifti(
    path: Path,
    voxels: Shaped[np.ndarray, "x y z"],
    affine_ras: Float[np.ndarray, "4 4"],
    dtype: DTypeLike,
) -> None:
    """Write one volume as `.nii` or `.nii.gz`; the same volume always gives the same bytes.

    Args:
        path: the file; its suffix says whether it is compressed.
        voxels: (x, y, z), without a channel axis.
        affine_ras: voxel index to RAS+ mm; stored as sform and qform, code 1 (scanner).
        dtype: type on disk; values are cast, never scaled.

    Raises:
        UsageError: another suffix, or not three axes.
        OutputError: the folder cannot be written.
    """
    if voxels.ndim != 3:
        raise UsageError(
            "one volume has three axes", case=path.name, why=f"The shape is {voxels.shape}"
        )
    image = nibabel.Nifti1Image(np.asarray(voxels, dtype=dtype), affine_ras, dtype=dtype)
    image.header.set_slope_inter(1, 0)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_ras, code=1)
    image.set_qform(affine_ras, code=1)
    content = image.to_bytes()
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        # No time and no name in the gzip header: they would differ from run to run.
        content = gzip.compress(content, compresslevel=6, mtime=0)
    elif not name.endswith(".nii"):
        raise UsageError("a NIfTI file ends in .nii or .nii.gz", case=path.name)
    write_bytes(path, content)
