"""What a guard can ask of a scan beside its features: grid, size, intensities, noise, edges,
and whether the region differs from what it lies in."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage

from medfs.core.measured import Measured
from medfs.core.patches import Patch
from medfs.core.volumes import Volume

NEAR_MM = 8.0
RIM_MM = 3.0
_LEVELS = (0.1, 0.5, 0.9)
# A hundredth of the intensity unit, 10 HU in lung CT: below it, noise and edges are all alike.
FLOOR = 0.01


def measure(volume: Volume, patch: Patch) -> Measured:
    """`medfs.core.measured.MEASURES` of a scan from which `patch` was cut.

    `near` is what lies outside the region, at most 8 mm from it. `flat` is the share of region and
    near whose six neighbours have the very same value: blank slices, masked scans, clipped air.
    `brighter` is the share of pairs of a voxel in the region and one at most 3 mm outside of which
    the first is brighter (ties count half): about a half where a mask outlines nothing, whatever
    the unit of intensities, the contrast and the noise.
    """
    image, roi = patch.image[0].numpy().astype(np.float64), patch.roi[0].numpy() > 0
    grid = patch.spacing.numpy().astype(np.float64)
    away = _away(roi, grid)
    near = _within(away, NEAR_MM, grid)
    neighbours = _neighbours(image)[:, roi | near]
    looked = image[roi | near]
    same = np.all(neighbours == looked, axis=0)
    apart = np.abs(neighbours.mean(0) - looked)
    values = [
        float(np.log(min(volume.spacing))),
        float(np.log(max(volume.spacing))),
        float(np.log(max(roi.sum(), 1) * grid.prod())),
        patch.padding,
        float(same.mean()),
        *_quantiles(image[roi]),
        *_quantiles(image[near]),
        float(np.log(np.median(apart) + FLOOR)),
        float(np.log(_edge(image, roi, grid) + FLOOR)),
        _brighter(image[roi], image[_within(away, RIM_MM, grid)]),
    ]
    return Measured(torch.tensor(values, dtype=torch.float64), volume.modality)


def _away(
    roi: Bool[np.ndarray, "i j k"], grid: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "i j k"]:
    """Distance from the region in mm, zero within; where there is none, all is next to it."""
    if not roi.any():
        return np.full(roi.shape, np.finfo(float).tiny)
    return np.asarray(ndimage.distance_transform_edt(~roi, sampling=grid), dtype=np.float64)


def _within(
    away: Float[np.ndarray, "i j k"], reach_mm: float, grid: Float[np.ndarray, "3"]
) -> Bool[np.ndarray, "i j k"]:
    """Outside the region and near it: the next voxel always is, however coarse the grid."""
    return (away > 0) & (away <= max(reach_mm, 1.5 * float(grid.max())))


def _quantiles(values: Float[np.ndarray, "voxel"]) -> list[float]:
    return [float(v) for v in np.quantile(values, _LEVELS)] if values.size else [0.0] * 3


def _neighbours(image: Float[np.ndarray, "i j k"]) -> Float[np.ndarray, "6 i j k"]:
    """The six neighbours of every voxel; beyond the grid the image repeats its edge."""
    padded, inner = np.pad(image, 1, mode="edge"), slice(1, -1)
    found = []
    for axis in range(3):
        for side in (slice(None, -2), slice(2, None)):
            where = [inner] * 3
            where[axis] = side
            found.append(padded[tuple(where)])
    return np.stack(found)


def _edge(
    image: Float[np.ndarray, "i j k"],
    roi: Bool[np.ndarray, "i j k"],
    grid: Float[np.ndarray, "3"],
) -> float:
    """Mean gradient per mm on the voxels at which the region ends, on both of its sides."""
    border = ndimage.binary_dilation(roi) & ~ndimage.binary_erosion(roi, border_value=1)
    if not border.any():
        return 0.0
    squared = sum(np.gradient(image, step, axis=axis) ** 2 for axis, step in enumerate(grid))
    return float(np.sqrt(squared)[border].mean())


def _brighter(inside: Float[np.ndarray, "voxel"], outside: Float[np.ndarray, "other"]) -> float:
    """P(inside > outside) + P(inside = outside) / 2 (Mann & Whitney 1947)."""
    if not inside.size or not outside.size:
        return 0.5
    ordered = np.sort(outside)
    below, upto = (np.searchsorted(ordered, inside, side=s).mean() for s in ("left", "right"))
    return float((below + upto) / 2 / outside.size)
