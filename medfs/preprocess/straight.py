"""Scans with a tilted gantry, brought to right angles before a patch is cut."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from medfs.core.errors import FieldError
from medfs.core.shear import is_sheared, shear_degrees, straighten
from medfs.core.volumes import Volume


@dataclass(frozen=True, slots=True, eq=False)
class Straight:
    """A scan on a grid with right angles.

    Attributes:
        volume: the scan; where it was straightened, new voxels hold its smallest value.
        mask: the region on the same grid, if one was marked.
        covered: voxels that lie in the scan as it was; None where all of them do.
        notes: what was done.
    """

    volume: Volume
    mask: Bool[np.ndarray, "x y z"] | None
    covered: Bool[np.ndarray, "x y z"] | None
    notes: tuple[str, ...]


def straight(volume: Volume, mask: Bool[np.ndarray, "x y z"] | None) -> Straight:
    """The scan and its mask at right angles; unchanged where they are so already.

    Raises:
        GeometryError: the grid leans in more than one direction.
    """
    if not is_sheared(volume.affine):
        return Straight(volume, mask, None, ())
    first = volume.voxels[0]
    voxels, affine = straighten(first, volume.affine, order=1, fill=float(first.min()))
    covered = np.ones(first.shape, dtype=bool)
    covered, _ = straighten(covered, volume.affine, order=0, fill=0)
    if mask is not None:
        mask, _ = straighten(mask, volume.affine, order=0, fill=0)
    note = (
        f"the scan is sheared by {shear_degrees(volume.affine):.1f}° (gantry tilt): straightened "
        "before the patch was cut"
    )
    return Straight(replace(volume, voxels=voxels[None], affine=affine), mask, covered, (note,))


def check_field(volume: Volume, upright: Volume, field_mm: Float[np.ndarray, "3"]) -> None:
    """Refuse a central field of view that reaches beyond the scan, leaning or not.

    Args:
        volume: the scan as it was read.
        upright: the same scan on a grid with right angles.
        field_mm: along the axes of `upright`.

    Raises:
        FieldError: the scan is smaller than the field.
    """
    # Half of the field along the voxel axes of the scan, at its outermost corner.
    directions = upright.affine[:3, :3] / np.asarray(upright.spacing)
    reach = np.abs(np.linalg.inv(volume.affine[:3, :3]) @ directions) @ field_mm
    if np.all((reach - volume.voxels.shape[1:]) * volume.spacing <= 1e-3):
        return
    extent = " × ".join(f"{e:.1f}" for e in volume.extent)
    degrees = shear_degrees(volume.affine)
    lean = f" and leans by {degrees:.1f}°" if is_sheared(volume.affine) else ""
    raise FieldError(
        "the scan is smaller than the chosen field of view",
        why=f"It measures {extent} mm{lean}, the field {' × '.join(f'{f:g}' for f in field_mm)} mm",
    )
