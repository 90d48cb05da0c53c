"""When a region does not belong to a scan, or is too small for its voxels."""

import numpy as np
from jaxtyping import Bool

from medfs.core.errors import GeometryError
from medfs.core.volumes import Volume
from medfs.scans.grids import describe
from medfs.scans.masks.regions import Notes

# A region that ends at the border of the scan may lie across it by part of a voxel.
_MIN_INSIDE = 0.99
# Nearest neighbour keeps the volume of all but the smallest regions within a few per cent.
_MAX_CHANGE = 2.0


def check_inside(share: float, where: str, like: Volume) -> None:
    """Refuse a region of which less than 99 % lies in the field of view of `like`.

    Args:
        share: of the region's volume, from 0 to 1.
        where: the place of the region, as a sentence begun.
        like: the scan.

    Raises:
        GeometryError: stating the share and both places.
    """
    if share >= _MIN_INSIDE:
        return
    scan = f"the scan has {describe(like.voxels.shape[1:], like.affine)} (RAS)"
    raise GeometryError(
        f"only {100 * share:.3g} % of the mask lies within the scan"
        if share > 0
        else "the mask and the scan do not overlap",
        why=f"{where}; {scan}",
        todo="Check that the mask was drawn on this scan, in the same study and frame of reference",
    )


def check_size(before: float, mask: Bool[np.ndarray, "x y z"], like: Volume) -> None:
    """Refuse a region that vanishes on the grid of `like`, or changes its volume twofold.

    Args:
        before: volume of the region in its own file, in mm³.
        mask: the region on the grid of `like`.
        like: the scan.

    Raises:
        GeometryError: stating both volumes.
    """
    voxel = abs(float(np.linalg.det(like.affine[:3, :3])))
    after = int(np.count_nonzero(mask)) * voxel
    if after == 0:
        raise GeometryError(
            "nothing of the mask remains on the grid of the scan",
            why=f"The region has {before:.3g} mm³ and a voxel of the scan {voxel:.3g} mm³",
            todo="Draw the region on this scan, or leave the case out",
        )
    if after > _MAX_CHANGE * before or before > _MAX_CHANGE * after:
        raise GeometryError(
            "the mask changes too much on the grid of the scan",
            why=f"The region has {before:.3g} mm³ in its file and {after:.3g} mm³ on voxels of "
            f"{voxel:.3g} mm³",
            todo="Draw the region on this scan, or check it for contours that cross themselves",
        )


def cut_off(share: float) -> Notes:
    """What to tell of a region that ends beyond the scan."""
    if share >= 1:
        return ()
    return (("mask", f"{100 * (1 - share):.2g} % of it lies outside the scan and was cut off"),)
