"""From planes to one grid, or a refusal that says what does not fit.

The mapping is that of DICOM PS3.3 C.7.6.2.1.1: a voxel's place follows from Image Position,
Image Orientation and Pixel Spacing. Instance numbers, file names, slice thickness and "spacing
between slices" place nothing and are never used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medfs.core.errors import GeometryError
from medfs.scans.dicom.frames import Frame
from medfs.scans.dicom.spacing import SAME_POSITION_MM, check_stack
from medfs.scans.grids import Affine, check_affine

# Images of one series carry the same strings; anything larger than their rounding is a difference.
COSINE_TOLERANCE = 1e-4
MM_TOLERANCE = 1e-4
_UNIT_LENGTH_TOLERANCE = 1e-3

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_EXPORT = "Export the series again from the archive, with its geometry"


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """What all planes of a stack share: unit vectors (LPS) and pixel distances in mm."""

    row: Float[np.ndarray, "3"]
    column: Float[np.ndarray, "3"]
    normal: Float[np.ndarray, "3"]
    spacing: Float[np.ndarray, "2"]


def check_placed(frames: Sequence[Frame]) -> None:
    """Refuse planes that do not say where they lie.

    Raises:
        GeometryError: naming the attribute and how many lack it.
    """
    for attribute, tag in (
        ("position", "ImagePositionPatient"),
        ("orientation", "ImageOrientationPatient"),
        ("pixel_spacing", "PixelSpacing"),
    ):
        lacking = [f.name for f in frames if getattr(f, attribute) is None]
        if lacking:
            raise GeometryError(
                "images do not say where they lie in the patient",
                why=f"{tag} is missing in {len(lacking)} of {len(frames)}, first in {lacking[0]}",
                todo=_EXPORT,
            )


def plane_of(frame: Frame) -> Plane:
    """The plane of a placed frame.

    Raises:
        GeometryError: direction cosines or spacings that describe no rectangle.
    """
    if frame.orientation is None or frame.pixel_spacing is None:
        raise GeometryError("orientation and pixel spacing are missing", why=frame.name)
    vectors = frame.orientation.reshape(2, 3)
    skew = abs(float(vectors[0] @ vectors[1]))
    lengths = np.linalg.norm(vectors, axis=1)
    if (np.abs(lengths - 1) > _UNIT_LENGTH_TOLERANCE).any() or skew > _UNIT_LENGTH_TOLERANCE:
        raise GeometryError(
            "the direction cosines are not of length 1 and at right angles",
            why=f"ImageOrientationPatient of {frame.name} is {frame.orientation.tolist()}",
            todo=_EXPORT,
        )
    if (frame.pixel_spacing <= 0).any():
        raise GeometryError(
            "the pixel spacing is not positive",
            why=f"PixelSpacing of {frame.name} is {frame.pixel_spacing.tolist()}",
            todo=_EXPORT,
        )
    normal = np.cross(vectors[0], vectors[1])
    normal /= np.linalg.norm(normal)
    return Plane(vectors[0], vectors[1], normal, frame.pixel_spacing)


def by_height(frames: Sequence[Frame], normal: Float[np.ndarray, "3"]) -> list[list[Frame]]:
    """Frames sorted along the normal, those at one position together."""
    heights = np.array([f.position for f in frames]) @ normal
    order = np.argsort(heights, kind="stable")
    levels: list[list[Frame]] = []
    last = -np.inf
    for i in order:
        # Against the level's first, so that many small steps do not add up to one level.
        if heights[i] - last > SAME_POSITION_MM:
            levels.append([])
            last = heights[i]
        levels[-1].append(frames[i])
    return levels


def grid_of(ordered: list[Frame], plane: Plane) -> Affine:
    """The affine of (column, row, slice) in RAS+ mm, sheared where the gantry was tilted.

    Args:
        ordered: placed frames, sorted along the normal, all at different heights.
        plane: of the frames.

    Raises:
        GeometryError: gaps, shifted slices, or a degenerate grid.
    """
    positions = np.array([f.position for f in ordered])
    check_stack(ordered, positions, plane.normal)
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing[1]
    affine[:3, 1] = plane.column * plane.spacing[0]
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(ordered) - 1)
    affine[:3, 3] = positions[0]
    affine = _LPS_TO_RAS @ affine
    check_affine(affine)
    return affine


def single_grid(frame: Frame, plane: Plane) -> Affine:
    """The affine of one slice, as thick as its header says.

    Raises:
        GeometryError: the header states no thickness.
    """
    stated = (frame.header.number("SpacingBetweenSlices"), frame.thickness)
    thickness = next((v for v in stated if v is not None and v > 0), None)
    if thickness is None or frame.position is None:
        raise GeometryError("the slice does not state its thickness", why=frame.name, todo=_EXPORT)
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing[1]
    affine[:3, 1] = plane.column * plane.spacing[0]
    affine[:3, 2] = plane.normal * thickness
    affine[:3, 3] = frame.position
    affine = _LPS_TO_RAS @ affine
    check_affine(affine)
    return affine


def place_in_ras(position: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4"]:
    """(x, y, z, 1) in RAS+ mm of a position as DICOM states it (LPS)."""
    return np.asarray(_LPS_TO_RAS @ np.append(position, 1.0))


def tilt_degrees(affine: Affine) -> float:
    """Angle between the direction of the stack and the normal of its slices."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    way = affine[:3, 2]
    cosine = abs(float(normal @ way)) / float(np.linalg.norm(normal) * np.linalg.norm(way))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))
