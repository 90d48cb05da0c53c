"""Voxel values to what a network can read."""

import numpy as np
from jaxtyping import Float, Shaped

from medfs.core.errors import ScanReadError
from medfs.preprocess.presets import Intensity

# Statistics of a scan are taken over at most this many evenly spaced voxels.
_SAMPLE = 2_000_000


def evenly_spaced(voxels: Shaped[np.ndarray, "x y z"], at_most: int) -> Float[np.ndarray, "voxel"]:
    """About `at_most` values, the same ones whatever the order of the voxels in memory."""
    step = max(1, voxels.size // at_most)
    line = voxels.ravel() if voxels.flags.c_contiguous else voxels.flat
    return line[::step].astype(np.float64)


def value_range(voxels: Shaped[np.ndarray, "x y z"], intensity: Intensity) -> tuple[float, float]:
    """(offset, scale) such that (value − offset) / scale is the normalised intensity.

    Raises:
        ScanReadError: the scan is constant, so that it has no scale.
    """
    if intensity.kind == "window":
        return (intensity.low + intensity.high) / 2, (intensity.high - intensity.low) / 2
    values = evenly_spaced(voxels, _SAMPLE)
    if intensity.kind == "percentile":
        low, high = np.percentile(values, [intensity.low, intensity.high])
        if high == low:
            low, high = values.min(), values.max()
        return float(low), _positive(float(high - low), float(low))
    foreground = values[values > values.min()]
    spread = float(foreground.std()) if foreground.size else 0.0
    return float(foreground.mean()) if foreground.size else 0.0, _positive(spread, values[0])


def limits(intensity: Intensity) -> tuple[float, float]:
    """Range of the normalised intensities."""
    if intensity.kind == "window":
        return -1.0, 1.0
    return (-intensity.clip, intensity.clip) if intensity.kind == "zscore" else (0.0, 1.0)


def normalise(
    values: Float[np.ndarray, "i j k"], offset: float, scale: float, intensity: Intensity
) -> Float[np.ndarray, "i j k"]:
    """Normalised and clipped values."""
    return np.clip((values - offset) / scale, *limits(intensity))


def _positive(scale: float, value: float) -> float:
    if scale > 0:
        return scale
    raise ScanReadError(
        "all voxels have the same value",
        why=f"Every voxel is {value:g}",
        todo="Check the export of this scan, or remove it",
    )
