"""Where the voxels of a NIfTI file lie: sform, qform, or voxel sizes alone."""

from typing import Any

import numpy as np

from medfs.core.errors import GeometryError
from medfs.scans.grids import Affine, spacing_of, triple

# The quaternion of the qform and the rows of the sform are float32; real disagreements are larger.
_SPACING_TOLERANCE = 1e-2
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown, metre, millimetre, micrometre
_NO_ORIENTATION = (
    "orientation",
    "the file states no orientation (sform and qform codes are 0): axes taken as RAS",
)


def file_affine(header: Any) -> tuple[Affine, tuple[tuple[str, str], ...]]:
    """The affine in mm, RAS+, with what the user must be told about it.

    The sform is used where its code is positive, else the qform; with neither, the voxel sizes
    alone (nifti1.h, methods 3, 2 and 1). Both may differ in origin and rotation, since they may
    describe different spaces (scanner and aligned), but not in voxel size or handedness.

    Raises:
        GeometryError: the forms contradict each other or cannot be computed.
    """
    sform = _form(header.get_sform, "sform") if int(header["sform_code"]) > 0 else None
    qform = _form(header.get_qform, "qform") if int(header["qform_code"]) > 0 else None
    if sform is not None and qform is not None:
        _refuse_contradiction(sform, qform)
    scale = np.diag([*[_unit(header)] * 3, 1.0])
    if sform is not None:
        return scale @ sform, ()
    if qform is not None:
        return scale @ qform, ()
    sizes = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise GeometryError(
            "the file states neither orientation nor voxel size",
            why=f"Its voxel size is {triple(sizes)}, its sform and qform codes are 0",
            todo="Convert the scan again from its DICOM images",
        )
    return scale @ np.diag([*sizes, 1.0]), (_NO_ORIENTATION,)


def _form(getter: Any, name: str) -> Affine:
    try:
        return np.asarray(getter(), dtype=np.float64)
    except Exception as error:  # nibabel has its own classes for invalid quaternions and sizes
        raise GeometryError(
            f"the {name} of the file is not valid",
            why=str(error),
            todo="Convert the scan again from its DICOM images",
        ) from error


def _refuse_contradiction(sform: Affine, qform: Affine) -> None:
    one, other = spacing_of(sform), spacing_of(qform)
    sizes_differ = not np.allclose(one, other, rtol=_SPACING_TOLERANCE, atol=0)
    mirrored = np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0
    if sizes_differ or mirrored:
        raise GeometryError(
            "the file states two positions that contradict each other",
            why=f"Voxels are {triple(one)} mm by its sform and {triple(other)} mm by its qform"
            + (", and one of them is mirrored" if mirrored else ""),
            todo="Find out which is right and save the scan with that one alone",
        )


def _unit(header: Any) -> float:
    """Millimetres per unit of length; a file that states none means millimetres."""
    code = int(header["xyzt_units"]) & 7
    if code not in _MM_PER_UNIT:
        raise GeometryError(
            "the unit of length is unknown",
            why=f"Its xyzt_units code is {code}",
            todo="Save the scan with millimetres",
        )
    return _MM_PER_UNIT[code]
