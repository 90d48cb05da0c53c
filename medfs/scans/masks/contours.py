"""Closed contours on the voxels of a scan, through its whole affine (rotated or sheared)."""

from collections import defaultdict

import numpy as np
from jaxtyping import Bool, Float

from medfs.core.errors import GeometryError
from medfs.core.volumes import Volume
from medfs.scans.masks.contour_planes import Placed, one_plane_per_slice, place, refuse_gaps
from medfs.scans.masks.limits import check_inside, check_size, cut_off
from medfs.scans.masks.polygons import Cut, area, enclosed
from medfs.scans.masks.regions import Notes

# Of the smaller contour: below, two contours touch; above its complement, one lies in the other.
_TOUCHING = 0.1
_MAX_PER_SLICE = 2000
_REDRAW = "Correct the contours in the software they were drawn with, and export them again"


def fill(
    contours: list[Float[np.ndarray, "point 3"]], like: Volume, *, exclusive: bool
) -> tuple[Bool[np.ndarray, "x y z"], Notes]:
    """Voxels whose centres the contours enclose, slice by slice, by the even-odd rule.

    Args:
        contours: closed, in mm, RAS+; each in a plane of voxels.
        like: the scan.
        exclusive: overlapping contours are meant to exclude each other (CLOSEDPLANAR_XOR).

    Returns:
        The mask (x, y, z), and notes about what was left out.

    Raises:
        GeometryError: no common plane, gaps, overlapping contours that are not exclusive, or a
            region outside the scan or too small for it.
    """
    axis, placed = place(contours, like)
    placed, notes = one_plane_per_slice(placed, axis)
    _refuse_far(placed, axis, like)
    cuts: dict[int, list[Cut]] = defaultdict(list)
    for contour in placed:
        cuts[contour.slice].append(enclosed(contour.points))
    slices = {number: _combined(number, cuts[number], exclusive) for number in sorted(cuts)}
    refuse_gaps(slices, axis, like)
    mask, share = _stacked(slices, axis, like)
    check_inside(share, _extent(placed), like)
    voxel = abs(float(np.linalg.det(like.affine[:3, :3])))
    drawn = sum(area(contour.points) for contour in placed)
    enclosed_voxels = sum(cut.count() for found in cuts.values() for cut in found)
    left = int(np.count_nonzero(mask))
    # Holes count as contours on both sides, so that the ratio tells how well all edges are met.
    check_size(voxel * (left * drawn / enclosed_voxels if left else drawn), mask, like)
    return mask, notes + cut_off(share)


def _stacked(
    slices: dict[int, Cut], axis: int, like: Volume
) -> tuple[Bool[np.ndarray, "x y z"], float]:
    """The mask, and the share of all voxels inside that lie within the scan."""
    mask = np.zeros(like.voxels.shape[1:], dtype=bool)
    plane = np.moveaxis(mask, axis, 0)
    size: list[int] = np.delete(np.array(mask.shape), axis).tolist()
    for number, cut in slices.items():
        if 0 <= number < len(plane):
            part = cut.within((0, 0), (size[0], size[1]))
            (u, v), (to_u, to_v) = part.low, part.high
            plane[number, u:to_u, v:to_v] = part.inside
    total = sum(cut.count() for cut in slices.values())
    return mask, int(np.count_nonzero(mask)) / total if total else 1.0


def _combined(number: int, cuts: list[Cut], exclusive: bool) -> Cut:
    """All contours of one slice; one within another cuts a hole."""
    if len(cuts) > _MAX_PER_SLICE:
        raise GeometryError(
            "a slice holds too many contours",
            why=f"There are {len(cuts)} in slice {number}",
            todo=_REDRAW,
        )
    if not exclusive:
        _refuse_overlap(cuts, number)
    low = min(c.low[0] for c in cuts), min(c.low[1] for c in cuts)
    high = max(c.high[0] for c in cuts), max(c.high[1] for c in cuts)
    inside = np.zeros((high[0] - low[0], high[1] - low[1]), dtype=bool)
    for cut in cuts:
        (u, v), (to_u, to_v) = cut.low, cut.high
        inside[u - low[0] : to_u - low[0], v - low[1] : to_v - low[1]] ^= cut.inside
    return Cut(low, inside)


def _refuse_overlap(cuts: list[Cut], number: int) -> None:
    """Contours that are neither apart nor one within the other: union and difference both fit."""
    sizes = [cut.count() for cut in cuts]
    lows, highs = np.array([c.low for c in cuts]), np.array([c.high for c in cuts])
    for i, cut in enumerate(cuts):
        meet = (lows[i + 1 :] < highs[i]).all(axis=1) & (highs[i + 1 :] > lows[i]).all(axis=1)
        for j in (np.flatnonzero(meet) + i + 1).tolist():
            smaller, common = min(sizes[i], sizes[j]), cut.shared_with(cuts[j])
            apart = common <= _TOUCHING * smaller
            nested = common >= (1 - _TOUCHING) * smaller and sizes[i] != sizes[j]
            if not (apart or nested or smaller <= 1):
                raise GeometryError(
                    "contours of the structure overlap",
                    why=f"In slice {number}, two contours enclose {sizes[i]} and {sizes[j]} voxels "
                    f"and share {common}: neither apart nor one within the other",
                    todo=_REDRAW,
                )


def _refuse_far(placed: list[Placed], axis: int, like: Volume) -> None:
    """More than a whole scan beyond its border; closer contours are counted voxel by voxel."""
    size = np.delete(np.array(like.voxels.shape[1:]), axis)
    for contour in placed:
        if (contour.points < -size).any() or (contour.points > 2 * size).any():
            check_inside(0.0, _extent(placed), like)


def _extent(placed: list[Placed]) -> str:
    low = np.min([contour.millimetres.min(axis=0) for contour in placed], axis=0)
    high = np.max([contour.millimetres.max(axis=0) for contour in placed], axis=0)
    spans = ", ".join(f"{a:.1f} to {b:.1f}" for a, b in zip(low, high, strict=True))
    return f"The contours span ({spans}) mm"
