"""A region from its own grid onto that of a scan: moved where voxels coincide, else resampled."""

from itertools import product

import numpy as np
from jaxtyping import Bool, Float

from medfs.core.errors import GeometryError
from medfs.core.volumes import Volume
from medfs.scans.grids import Affine, describe, spacing_of, triple
from medfs.scans.masks.limits import check_inside, check_size, cut_off
from medfs.scans.masks.regions import Drawn, Roi

# Affines of one grid differ by float32 or by direction cosines with few decimals. A twentieth of a
# voxel moves no voxel of the mask; a mask drawn on another grid is off by far more.
_SAME_GRID = 0.05
# Centres that lie on the border of two voxels up to rounding all go to the same side.
_ROUNDING = 1e-6
# Any number of voxels that no scan has: positions beyond it would not fit an integer.
_FAR = 1 << 30
# Eight points stand for a voxel that may lie across the border of the scan.
_EIGHTHS = np.array(list(product((-0.25, 0.25), repeat=3)))


def onto(drawn: Drawn, like: Volume) -> Roi:
    """The region on the grid of `like`.

    Voxels are moved as they are where those of both grids coincide (no corner of the region's box
    more than 0.05 of the smallest spacing away), whatever the order and direction of the axes.
    Otherwise a voxel of the scan belongs to the region when its centre lies in a voxel that does.

    Raises:
        GeometryError: less than 99 % of the region lies in the scan, nothing of it remains, or its
            volume changes by more than a factor of two.
    """
    drawn = _trimmed(drawn)
    to_scan = np.linalg.solve(like.affine, drawn.affine)
    count = int(np.count_nonzero(drawn.mask))
    where = f"The mask has {describe(drawn.mask.shape, drawn.affine)}"
    moved = _moved(drawn.mask, to_scan, like)
    if moved is not None:
        share = int(np.count_nonzero(moved)) / count
        check_inside(share, where, like)
        return Roi(moved, drawn.notes + cut_off(share))
    share = _share_inside(drawn.mask, to_scan, like.voxels.shape[1:])
    check_inside(share, where, like)
    mask = _sampled(drawn.mask, to_scan, like.voxels.shape[1:])
    before = count * share * abs(float(np.linalg.det(drawn.affine[:3, :3])))
    check_size(before, mask, like)
    old, new = triple(spacing_of(drawn.affine)), triple(spacing_of(like.affine))
    note = f"resampled from voxels of {old} mm to those of the scan, {new} mm (nearest neighbour)"
    return Roi(mask, (*drawn.notes, ("mask", note), *cut_off(share)))


def _trimmed(drawn: Drawn) -> Drawn:
    """The box around the region; what is tested and sampled need not be larger."""
    sides = [np.asarray(drawn.mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    if not sides[0].any():
        raise GeometryError("the mask is empty", todo="Draw the region, or leave the mask out")
    low = [int(np.argmax(side)) for side in sides]
    high = [len(side) - int(np.argmax(side[::-1])) for side in sides]
    affine = drawn.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    box = drawn.mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return Drawn(box, affine, drawn.notes)


def _corners(shape: tuple[int, ...], margin: float) -> Float[np.ndarray, "8 4"]:
    low, high = np.full(3, -margin), np.array(shape) - 1 + margin
    corners = [(*np.where(upper, high, low), 1.0) for upper in product((False, True), repeat=3)]
    return np.array(corners)


def _moved(
    mask: Bool[np.ndarray, "i j k"], to_scan: Affine, like: Volume
) -> Bool[np.ndarray, "x y z"] | None:
    """The mask with axes permuted, flipped and shifted by whole voxels; None if that is not all."""
    whole = np.rint(to_scan)
    turn = whole[:3, :3]
    if (np.abs(turn).sum(axis=0) != 1).any() or (np.abs(turn).sum(axis=1) != 1).any():
        return None
    corners = _corners(mask.shape, 0)
    off = (corners @ (to_scan - whole)[:3].T) @ like.affine[:3, :3].T
    if np.linalg.norm(off, axis=1).max() > _SAME_GRID * float(spacing_of(like.affine).min()):
        return None
    source = np.argmax(np.abs(turn), axis=1)
    flips = tuple(axis for axis in range(3) if turn[axis, source[axis]] < 0)
    turned = np.flip(mask.transpose([int(axis) for axis in source]), flips)
    start = np.clip((corners @ whole[:3].T).min(axis=0), -_FAR, _FAR).astype(int)
    result = np.zeros(like.voxels.shape[1:], dtype=bool)
    low = np.maximum(start, 0)
    high = np.minimum(start + turned.shape, result.shape)
    if (high > low).all():
        take = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        result[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = turned[take]
    return result


def _share_inside(
    mask: Bool[np.ndarray, "i j k"], to_scan: Affine, shape: tuple[int, ...]
) -> float:
    """How much of the region's volume lies in the field of view of the scan."""
    low, high = -0.5 - _SAME_GRID, np.array(shape) - 0.5 + _SAME_GRID
    corners = _corners(mask.shape, 0.5) @ to_scan[:3].T
    if (corners >= low).all() and (corners < high).all():
        return 1.0
    inside = total = 0
    for i in range(len(mask)):
        jk = np.argwhere(mask[i])
        index = np.column_stack([np.full(len(jk), i), jk]).astype(float)
        for shift in _EIGHTHS:
            points = (index + shift) @ to_scan[:3, :3].T + to_scan[:3, 3]
            inside += int(((points >= low) & (points < high)).all(axis=1).sum())
        total += len(jk) * len(_EIGHTHS)
    return inside / total


def _sampled(
    mask: Bool[np.ndarray, "i j k"], to_scan: Affine, shape: tuple[int, ...]
) -> Bool[np.ndarray, "x y z"]:
    """Nearest neighbour, one plane of the scan at a time, within the box of the region."""
    result = np.zeros(shape, dtype=bool)
    corners = _corners(mask.shape, 0.5) @ to_scan[:3].T
    low = np.clip(np.floor(corners.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, shape).astype(int)
    back = np.linalg.inv(to_scan)
    y = np.arange(low[1], high[1])[:, np.newaxis]
    z = np.arange(low[2], high[2])[np.newaxis, :]
    for x in range(low[0], high[0]):
        index, valid = [], np.ones((len(y), z.shape[1]), dtype=bool)
        for row, length in zip(back[:3], mask.shape, strict=True):
            nearest = np.floor(row[0] * x + row[1] * y + row[2] * z + row[3] + 0.5 + _ROUNDING)
            valid &= (nearest >= 0) & (nearest < length)
            index.append(np.clip(nearest, 0, length - 1).astype(np.intp))
        result[x, low[1] : high[1], low[2] : high[2]] = mask[tuple(index)] & valid
    return result
