"""A scan on a grid, with the intensities of a preset."""

import numpy as np
from jaxtyping import Float, Shaped

from medfs.core.volumes import Volume
from medfs.preprocess.intensity import limits, normalise, value_range
from medfs.preprocess.presets import Intensity
from medfs.preprocess.resample import resample


def sampled(
    volume: Volume,
    intensity: Intensity,
    centre: Float[np.ndarray, "3"],
    grid: Float[np.ndarray, "3"],
    shape: tuple[int, int, int],
    reference: Shaped[np.ndarray, "x y z"],
) -> Float[np.ndarray, "i j k"]:
    """The resampled scan, normalised by the statistics of the `reference` voxels.

    Args:
        volume: the scan.
        intensity: how values are normalised.
        centre: of the grid, in voxels.
        grid: mm between points.
        shape: points along each axis.
        reference: voxels whose statistics count.
    """
    offset, scale = value_range(reference, intensity)
    low, high = (offset + scale * bound for bound in limits(intensity))
    step = grid / np.asarray(volume.spacing)
    values = resample(volume.voxels[0], centre, step, shape, clip=(low, high))
    return normalise(values, offset, scale, intensity)
