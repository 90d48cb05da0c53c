"""Voxel grids: affines in mm, checked, compared and brought to RAS axis order."""

from typing import Any

import nibabel.orientations as orientations
import numpy as np
from jaxtyping import Float, Shaped

from medfs.core.errors import GeometryError

Affine = Float[np.ndarray, "4 4"]

# Micro-CT starts near 0.001 mm, and no scanner makes voxels of half a metre: outside, the unit of
# the file is not the one it claims.
SPACING_RANGE_MM = (1e-4, 500.0)
# Volume of the box of unit vectors along the axes. A shear by 45° leaves 0.71, and gantries tilt by
# up to 30°; below this the nearest anatomical axes are no longer certain.
_LEAST_VOLUME = 0.5


def spacing_of(affine: Affine) -> Float[np.ndarray, "3"]:
    """Distance between neighbouring voxels along each voxel axis, in mm."""
    return np.linalg.norm(affine[:3, :3], axis=0)


def check_affine(affine: Affine) -> None:
    """Refuse an affine that places no proper box of voxels in space.

    Raises:
        GeometryError: not finite, spacing zero or absurd, or axes that span no box. Sheared axes
            (a tilted gantry) are allowed; `medfs.core.shear` tells them.
    """
    todo = "Export the scan again from its DICOM images, or correct its header"
    if not np.isfinite(affine).all():
        raise GeometryError(
            "the position of the voxels is not a number", why="The affine holds NaN", todo=todo
        )
    spacing = spacing_of(affine)
    low, high = SPACING_RANGE_MM
    if (spacing < low).any() or (spacing > high).any():
        raise GeometryError(
            "the voxel spacing is zero or absurd",
            why=f"The file says {triple(spacing)} mm",
            todo=todo,
        )
    cosines = affine[:3, :3] / spacing
    if abs(float(np.linalg.det(cosines))) < _LEAST_VOLUME:
        raise GeometryError(
            "the voxel axes do not span a box",
            why="They enclose a volume of "
            f"{abs(float(np.linalg.det(cosines))):.2f} where right angles enclose 1",
            todo=todo,
        )


def to_ras(
    voxels: Shaped[np.ndarray, "i j k"], affine: Affine
) -> tuple[Shaped[np.ndarray, "x y z"], Affine]:
    """Permute and flip voxel axes to the nearest RAS orientation; nothing is interpolated.

    Args:
        voxels: (i, j, k), in the order of the file; overwritten where an axis must be flipped, so
            that a scan is never held twice.
        affine: voxel index to RAS+ mm.

    Returns:
        An array (x, y, z) in any memory order and its affine, as
        `nibabel.as_closest_canonical` has them.
    """
    order: Any = orientations.io_orientation(affine)
    moved = orientations.apply_orientation(voxels, order)
    turned = affine @ orientations.inv_ornt_aff(order, voxels.shape)
    flipped = tuple(axis for axis, step in enumerate(moved.strides) if step < 0)
    if flipped:  # torch takes no negative strides
        moved = np.flip(moved, flipped)
        _flip_in_place(moved, flipped)
    return moved, np.asarray(turned, dtype=np.float64)


def _flip_in_place(voxels: Shaped[np.ndarray, "x y z"], axes: tuple[int, ...]) -> None:
    """Reverse axes plane by plane, in the order of memory."""
    slowest = int(np.argmax(voxels.strides))
    planes = np.moveaxis(voxels, slowest, 0)
    rest = [axis for axis in range(3) if axis != slowest]
    turned = (..., *(slice(None, None, -1 if axis in axes else 1) for axis in rest))
    if slowest not in axes:
        for plane in planes:
            plane[...] = plane[turned].copy(order="K")
        return
    for k in range((len(planes) + 1) // 2):
        first, last = (planes[i][turned].copy(order="K") for i in (k, -1 - k))
        planes[k], planes[-1 - k] = last, first


def describe(shape: tuple[int, ...], affine: Affine) -> str:
    """One line for a person: shape, spacing and first voxel in mm."""
    size = " × ".join(map(str, shape))
    return (
        f"{size} voxels of {triple(spacing_of(affine))} mm, first voxel at "
        f"({', '.join(f'{v:.2f}' for v in affine[:3, 3])}) mm"
    )


def triple(values: Float[np.ndarray, "n"]) -> str:
    """`0.5 × 0.5 × 2` and the like."""
    return " × ".join(f"{v:.4g}" for v in values)
