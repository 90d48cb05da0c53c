"""Sheared grids (a tilted gantry) and how to bring them to right angles.

A CT with a tilted gantry has slices whose plane is not perpendicular to the direction in which the
table moves. Each slice is a proper image; only the stack leans. Bringing it to right angles is a
shift of every slice within its own plane.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

from medfs.core.errors import GeometryError

# Larger angles move the far end of a 200 mm stack by more than a third of a millimetre. Smaller
# ones arise from direction cosines written with few decimals.
MAX_SHEAR_DEGREES = 0.1
# A lean of the whole stack by less than this many voxels is rounding.
_NO_LEAN = 1e-3

Affine = Float[np.ndarray, "4 4"]


def shear_degrees(affine: Affine) -> float:
    """Largest deviation of two voxel axes from a right angle, in degrees."""
    return float(np.degrees(np.arcsin(min(float(_cosines(affine).max()), 1.0))))


def is_sheared(affine: Affine, tolerance: float | int = MAX_SHEAR_DEGREES) -> bool:
    """Whether two voxel axes are more than `tolerance` degrees from a right angle."""
    return shear_degrees(affine) > tolerance


def straighten(
    voxels: Shaped[np.ndarray, "x y z"],
    affine: Affine,
    *,
    order: Literal[0, 1],
    fill: float | int,
) -> tuple[Shaped[np.ndarray, "i j k"], Affine]:
    """Resample a sheared grid to right angles; a grid that is not sheared comes back as it is.

    The two axes of the slices stay; the third becomes their normal, with the distance between
    slices along it as its spacing. Every slice is shifted within its plane. The field of view grows
    alike on both sides, so that nothing is cut off and its middle stays where it is.

    Where two choices of slices have right angles, the one with the squarest pixels is taken, then
    the squarest image, then the widest distance, then the later axis; all lead to right angles.

    Args:
        voxels: of the sheared grid, in any memory order.
        affine: voxel index to mm.
        order: 1 interpolates linearly (float32), 0 takes the nearest voxel (same number type).
        fill: value of the voxels that the scan does not cover.

    Returns:
        Voxels with the axes in the same order, and their affine.

    Raises:
        GeometryError: no two axes are at right angles.
    """
    if not is_sheared(affine):
        return voxels, affine
    stack = _stack_axis(affine, voxels.shape)
    first, second = (a for a in range(3) if a != stack)
    slices = np.moveaxis(voxels, (first, second, stack), (0, 1, 2))
    count = slices.shape[2]
    lean, rise = _lean(affine, (first, second, stack), count)
    total = lean * (count - 1)
    grown = 2 * np.ceil(np.abs(total) / 2).astype(int)  # even, so that the middle stays
    offset = (grown - total) / 2
    dtype = np.dtype(np.float32) if order else voxels.dtype
    rows, columns = slices.shape[0] + int(grown[0]), slices.shape[1] + int(grown[1])
    straight = np.empty((rows, columns, count), dtype, order="F")
    for k in range(count):
        plane = slices[:, :, k].astype(dtype, copy=False)
        for axis, size in enumerate((rows, columns)):
            plane = _shifted(plane, axis, float(offset[axis] + lean[axis] * k), size, order, fill)
        straight[:, :, k] = plane
    turned = affine.copy()
    turned[:3, stack] = rise
    turned[:3, 3] -= affine[:3, [first, second]] @ offset
    return np.moveaxis(straight, (0, 1, 2), (first, second, stack)), turned


def _cosines(affine: Affine) -> Float[np.ndarray, "3 3"]:
    """Absolute cosines between the voxel axes, 0 on the diagonal."""
    units = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return np.abs(units.T @ units) * (1 - np.eye(3))


def _stack_axis(affine: Affine, shape: tuple[int, ...]) -> int:
    """The axis along which slices are stacked: the other two are at right angles."""
    cosines, spacing = _cosines(affine), np.linalg.norm(affine[:3, :3], axis=0)
    limit = float(np.sin(np.radians(MAX_SHEAR_DEGREES)))
    ranks = []
    for stack in range(3):
        a, b = (axis for axis in range(3) if axis != stack)
        if cosines[a, b] > limit:
            continue
        pixels = round(abs(float(np.log(spacing[a] / spacing[b]))), 2)
        image = round(abs(float(np.log(shape[a] / shape[b]))), 2)
        ranks.append((pixels, image, -round(float(spacing[stack]), 2), -stack))
    if not ranks:
        nearest = np.degrees(np.arcsin(min(cosines[np.triu_indices(3, 1)])))
        raise GeometryError(
            "the voxel axes lean in more than one direction",
            why=f"No two of them are at right angles (the nearest are {nearest:.2f}° off)",
            todo="Resample the scan to a grid with right angles first",
        )
    return -min(ranks)[3]


def _lean(
    affine: Affine, axes: tuple[int, int, int], count: int
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "3"]]:
    """Shift of every slice against the one before (voxels), and the step along the normal (mm)."""
    first, second, way = (affine[:3, a] for a in axes)
    normal = np.cross(first, second)
    lean = np.linalg.solve(np.stack([first, second, normal], axis=1), way)
    rounding = np.abs(lean[:2]) * (count - 1) < _NO_LEAN
    return np.where(rounding, 0.0, lean[:2]), lean[2] * normal


def _shifted(
    plane: Shaped[np.ndarray, "a b"],
    axis: int,
    offset: float,
    size: int,
    order: int,
    fill: float | int,
) -> Shaped[np.ndarray, "c d"]:
    """The plane moved by `offset` ≥ 0 voxels along an axis, into a larger one."""
    moved = np.moveaxis(plane, axis, 0)
    length = moved.shape[0]
    if size == length:
        return plane
    wide = np.full((size, moved.shape[1]), fill, plane.dtype)
    offset = min(max(offset, 0.0), float(size - length))
    if order == 0:
        start = int(np.floor(offset + 0.5))
        wide[start : start + length] = moved
        return np.moveaxis(wide, 0, axis)
    start = int(np.floor(offset))
    share = np.float32(offset - start)
    wide[start + 1 : start + length] = share * moved[:-1] + (1 - share) * moved[1:]
    # The outermost voxels reach half a voxel beyond their centres: one of the two is drawn there.
    if share < 0.5:
        wide[start] = moved[0]
    else:
        wide[start + length] = moved[-1]
    return np.moveaxis(wide, 0, axis)
