"""Stored numbers of a NIfTI file to intensities."""

from typing import Any

import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import ScanReadError

# Voxels that are looked at together where a full copy would cost too much memory.
_SLAB = 1 << 18


def native(stored: Shaped[np.ndarray, "voxel"]) -> Shaped[np.ndarray, "voxel"]:
    """The same numbers in the byte order and alignment of this machine; copied only if needed."""
    here = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return np.require(here, requirements="A")


def rescale(stored: Shaped[np.ndarray, "i j k"], header: Any) -> Shaped[np.ndarray, "i j k"]:
    """Apply scl_slope and scl_inter; a slope of 0 or NaN means none (nifti1.h).

    Returns:
        The array itself where nothing is to be done, else float32 in the same memory order,
        computed in float64.

    Raises:
        ScanReadError: a slope without an intercept.
    """
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        return stored
    if not np.isfinite(intercept):
        raise ScanReadError(
            "the intensity scaling is not a number",
            why=f"scl_slope is {slope:g} and scl_inter is {intercept}",
            todo="Export the scan again",
        )
    if (slope, intercept) == (1, 0):
        return stored
    numbers = stored.ravel(order="K")
    scaled = np.empty(numbers.shape, np.float32)
    for first in range(0, len(numbers), _SLAB):  # so that only one slab is held in float64
        slab = numbers[first : first + _SLAB].astype(np.float64)
        slab *= slope
        slab += intercept
        scaled[first : first + _SLAB] = slab
    return scaled.reshape(stored.shape, order="F")


def refuse_non_finite(voxels: Shaped[np.ndarray, "x y z"], name: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        ScanReadError: with their number.
    """
    if voxels.dtype.kind != "f":
        return
    # A sum is finite only if every term is; the other way round it may overflow, so count then.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(voxels.sum()):
            return
    numbers = voxels.ravel(order="K")
    slabs = (numbers[first : first + _SLAB] for first in range(0, len(numbers), _SLAB))
    bad = sum(len(slab) - int(np.count_nonzero(np.isfinite(slab))) for slab in slabs)
    if bad:
        raise ScanReadError(
            f"{name} holds voxels that are not finite numbers",
            why=f"{bad} of {voxels.size} voxels are NaN or infinite",
            todo="Replace them (for instance by the background value) and save the scan again",
        )
