"""Where the frames of a DICOM segmentation lie: one stack, from which empty frames may be missing.

Positions are those of PS3.3 C.7.6.2.1.1 and C.7.6.16.2. Instances that a frame refers to, the order
of frames and dimension indices place nothing and are never used.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from medfs.core.errors import GeometryError
from medfs.scans.dicom.enhanced import functional
from medfs.scans.grids import SPACING_RANGE_MM, Affine

_EXPORT = "Export the segmentation again, if possible as NIfTI"
# Positions and cosines are decimal strings of one file; anything larger is a difference.
_SAME_COSINE = 1e-4
_SAME_MM = 0.01
_SIDEWAYS_MM = 0.05
# Distances between slices against the stated one, which is often rounded to two decimals.
_STEP_TOLERANCE = 0.02
_MAX_SLICES = 1 << 16
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The grid of all frames.

    Attributes:
        affine: (column, row, slice) to RAS+ mm; sheared where the gantry was tilted.
        slices: the slice of each frame, counted from the lowest along the normal.
    """

    affine: Affine
    slices: Int[np.ndarray, "frame"]


def stack_of(dataset: Any, name: str) -> Stack:
    """The grid on which the frames of a segmentation lie.

    Raises:
        GeometryError: frames that are not placed in the patient, are not parallel, or are not
            evenly spaced once omitted ones are counted.
    """
    orientation = _one(dataset, name, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    pixels = _one(dataset, name, "PixelMeasuresSequence", "PixelSpacing", 2)
    positions = _values(dataset, name, "PlanePositionSequence", "ImagePositionPatient", 3)
    row, column = orientation[:3], orientation[3:]
    cosines = np.array([row @ row, column @ column, 1 + row @ column])
    if np.abs(cosines - 1).max() > 10 * _SAME_COSINE:
        raise GeometryError(
            "the direction cosines are not of length 1 and at right angles",
            why=f"ImageOrientationPatient of {name} is {orientation.tolist()}",
            todo=_EXPORT,
        )
    normal = np.cross(row, column)
    slices, step = _levels(dataset, name, positions, normal)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * pixels[1], column * pixels[0], step
    affine[:3, 3] = positions[np.argmin(slices)]
    _check_straight(positions, slices, affine, name)
    low, high = SPACING_RANGE_MM
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if (sizes < low).any() or (sizes > high).any() or (pixels <= 0).any():
        raise GeometryError(
            "the voxel spacing is zero or absurd",
            why=f"{name} has PixelSpacing {pixels.tolist()} and slices {sizes[2]:.4g} mm apart",
            todo=_EXPORT,
        )
    return Stack(_LPS_TO_RAS @ affine, slices)


def _values(
    dataset: Any, name: str, sequence: str, keyword: str, count: int
) -> Float[np.ndarray, "frame n"]:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    found = [
        functional(own, shared, sequence, keyword)
        for own in dataset.PerFrameFunctionalGroupsSequence
    ]
    lacking = [i for i, value in enumerate(found) if value is None]
    if lacking:
        raise GeometryError(
            "the segmentation does not say where it lies in the patient",
            why=f"{name} lacks {keyword} in {len(lacking)} of {len(found)} frames",
            todo=_EXPORT,
        )
    bad = [value for value in found if len(np.atleast_1d(value)) != count]
    values = None if bad else np.array(found, dtype=float)
    if values is None or not np.isfinite(values).all():
        raise GeometryError(
            "a position in the segmentation is damaged",
            why=f"{keyword} of {name} does not give {count} finite numbers in every frame",
            todo=_EXPORT,
        )
    return values


def _one(
    dataset: Any, name: str, sequence: str, keyword: str, count: int
) -> Float[np.ndarray, "n"]:
    values = _values(dataset, name, sequence, keyword, count)
    if np.abs(values - values[0]).max() > _SAME_COSINE:
        raise GeometryError(
            "the frames of the segmentation are not parallel planes of one kind",
            why=f"{keyword} of {name} differs between frames",
            todo=_EXPORT,
        )
    return values[0]


def _levels(
    dataset: Any, name: str, positions: Float[np.ndarray, "frame 3"], normal: np.ndarray
) -> tuple[Int[np.ndarray, "frame"], Float[np.ndarray, "3"]]:
    """The slice of each frame, and the vector from one slice to the next in mm (LPS)."""
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order])
    steps[steps < _SAME_MM] = 0
    stated = _measure(dataset, "SpacingBetweenSlices")
    if not steps.any():
        # Thickness places nothing where there are two slices; of a single one it is the depth.
        depth = stated or _measure(dataset, "SliceThickness")
        if not depth:
            raise GeometryError(
                "the depth of the only slice of the segmentation is unknown",
                why=f"{name} states neither SpacingBetweenSlices nor SliceThickness",
                todo=_EXPORT,
            )
        return np.zeros(len(heights), dtype=int), normal * depth
    base = stated or float(steps[steps > 0].min())
    counts = np.rint(steps / base)
    off = np.abs(steps - counts * base) > _STEP_TOLERANCE * base * counts + _SAME_MM
    if off.any() or (counts[steps > 0] < 1).any() or counts.sum() > _MAX_SLICES:
        raise GeometryError(
            "the slices of the segmentation are not evenly spaced",
            why=f"Frames of {name} lie {steps[steps > 0].min():.4g} to {steps.max():.4g} mm apart, "
            f"which are not multiples of {base:.4g} mm"
            + (" (its SpacingBetweenSlices)" if stated else ""),
            todo=_EXPORT,
        )
    slices = np.zeros(len(heights), dtype=int)
    slices[order[1:]] = np.cumsum(counts)
    first, last = positions[order[0]], positions[order[-1]]
    return slices, (last - first) / counts.sum()


def _measure(dataset: Any, keyword: str) -> float:
    """A length that all frames share, or 0. Some modalities state it negative (C.7.6.3.1)."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    own = dataset.PerFrameFunctionalGroupsSequence[0]
    value = abs(float(functional(own, shared, "PixelMeasuresSequence", keyword) or 0))
    return value if np.isfinite(value) else 0.0


def _check_straight(
    positions: Float[np.ndarray, "frame 3"],
    slices: Int[np.ndarray, "frame"],
    affine: Affine,
    name: str,
) -> None:
    expected = affine[:3, 3] + slices[:, np.newaxis] * affine[:3, 2]
    off = np.linalg.norm(positions - expected, axis=1)
    worst = int(np.argmax(off))
    if off[worst] > max(_SIDEWAYS_MM, _STEP_TOLERANCE * float(np.linalg.norm(affine[:3, 2]))):
        raise GeometryError(
            "the frames of the segmentation do not lie in one straight, even stack",
            why=f"Frame {worst + 1} of {name} is {off[worst]:.2f} mm away from where it belongs",
            todo=_EXPORT,
        )
