"""A grid as a stack of DICOM slices: which way they are turned, and where each lies."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from medfs.core.errors import GeometryError
from medfs.scans.grids import Affine, check_affine, spacing_of

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# On screen, columns run to the patient's left or back, and rows to the back or the feet.
_ON_SCREEN = (1, 1, -1)
# Cosines are written with 14 digits at best, and often come from float32.
_MAX_COSINE = 1e-4


@dataclass(frozen=True, slots=True)
class Planes:
    """The slices of a grid as DICOM has them (PS3.3 C.7.6.2.1.1).

    Attributes:
        shape: of the grid, (x, y, z); z counts the slices.
        flips: whether columns and rows run against the grid's first and second axis.
        affine: (column, row, slice) to LPS mm.
    """

    shape: tuple[int, int, int]
    flips: tuple[bool, bool]
    affine: Affine

    @classmethod
    def of(cls, shape: tuple[int, ...], affine_ras: Affine) -> "Planes":
        """Columns and rows turned as screens expect them; slices in the grid's own order."""
        affine = _LPS @ affine_ras
        flips = []
        for axis in (0, 1):
            along = affine[:3, axis].copy()
            main = int(np.abs(along).argmax())
            flips.append(bool(along[main] * _ON_SCREEN[main] < 0))
            if flips[axis]:
                affine[:3, 3] += along * (shape[axis] - 1)
                affine[:3, axis] = -along
        return cls((shape[0], shape[1], shape[2]), (flips[0], flips[1]), affine)

    def images(self, voxels: Shaped[np.ndarray, "x y z"]) -> Shaped[np.ndarray, "slice row column"]:
        """The voxels of the grid, slice by slice."""
        column, row = (-1 if flip else 1 for flip in self.flips)
        return np.ascontiguousarray(voxels[::column, ::row].transpose(2, 1, 0))

    def position(self, k: int) -> Float[np.ndarray, "3"]:
        """Centre of the first voxel of slice `k`, LPS mm."""
        return self.affine[:3, 3] + k * self.affine[:3, 2] + 0.0  # no "-0"


def check_axes(affine_ras: Affine) -> None:
    """Refuse a grid whose slices are no DICOM images; the stack of them may lean.

    Raises:
        GeometryError: no box, or rows and columns that are not at right angles.
    """
    check_affine(affine_ras)
    x, y, _ = (affine_ras[:3, :3] / spacing_of(affine_ras)).T
    if abs(float(x @ y)) <= _MAX_COSINE:
        return
    raise GeometryError(
        "rows and columns are not at right angles, which a DICOM image cannot express",
        why=f"They meet at {np.degrees(np.arccos(x @ y)):.2f}°",
        todo="Resample the volume to a grid with right angles first",
    )
