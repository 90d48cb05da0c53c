"""A region in a whole scan, found by the shipped network."""

import numpy as np
from jaxtyping import Bool, Float

from medfs.core.volumes import Volume
from medfs.preprocess.finder import find
from medfs.preprocess.finder_net import SIDE
from medfs.preprocess.presets import Preset
from medfs.preprocess.regions import Region, constant, strides
from medfs.preprocess.resample import resample
from medfs.preprocess.sampled import sampled

# The network looks at no more points, whatever the size of the scan: time is bounded.
_POINTS = 48_000


def learned(volume: Volume, covered: Bool[np.ndarray, "x y z"] | None, preset: Preset) -> Region:
    """The finding at or near the centre of a scan.

    The network looks at the scan on the grid of the preset, or on a coarser one if the scan is
    large: in a crop around a lesion it finds the lesion, in a whole scan what is large and central.

    Args:
        volume: the scan, at right angles.
        covered: voxels that hold scan; None if all of them do.
        preset: spacing and intensities.

    Raises:
        ScanReadError: all voxels have the same value.
    """
    voxels = volume.voxels[0]
    if voxels.min() == voxels.max():
        raise constant(float(voxels.flat[0]))
    spacing = np.asarray(volume.spacing)
    extent = np.asarray(voxels.shape) * spacing
    grid, shape = _grid(extent, np.asarray(preset.spacing_mm))
    centre = (np.asarray(voxels.shape) - 1) / 2
    image = sampled(volume, preset.intensity, centre, grid, shape, voxels)
    valid = _inside(extent, grid, shape)
    if covered is not None:
        valid &= resample(covered, centre, grid / spacing, shape) > 0.5
    found = find(image, valid)
    stride = strides(voxels.shape)
    # From the grid back to the voxels that regions of scans are told on.
    coarse = tuple(-(-n // s) for n, s in zip(voxels.shape, stride, strict=True))
    steps = np.asarray(stride) * spacing / grid
    ahead = (np.asarray(coarse) - 1) / 2 * np.asarray(stride) - centre
    middle = (np.asarray(shape) - 1) / 2 + ahead * spacing / grid
    share = resample(found.mask, middle, steps, (coarse[0], coarse[1], coarse[2]))
    # A region between the voxels keeps those that are nearest to it.
    return Region(share >= min(0.5, float(share.max())), stride, found.note)


def _grid(
    extent: Float[np.ndarray, "3"], spacing: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "3"], tuple[int, int, int]]:
    """Spacing in mm and points of a grid over the whole extent (mm)."""
    while True:
        x, y, z = (SIDE * max(1, int(np.ceil(n / SIDE - 1e-6))) for n in extent / spacing)
        if x * y * z <= _POINTS:
            return spacing, (x, y, z)
        spacing = spacing * 1.05


def _inside(
    extent: Float[np.ndarray, "3"], grid: Float[np.ndarray, "3"], shape: tuple[int, int, int]
) -> Bool[np.ndarray, "i j k"]:
    """Points of the grid that lie in the scan."""
    x, y, z = (
        np.abs(np.arange(n) - (n - 1) / 2) * step <= length / 2 + 1e-6
        for n, step, length in zip(shape, grid, extent, strict=True)
    )
    return x[:, None, None] & y[None, :, None] & z[None, None, :]
