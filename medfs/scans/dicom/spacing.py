"""Checks of a sorted stack of slices: no repeats, no gaps, straight above each other."""

import numpy as np
from jaxtyping import Float

from medfs.core.errors import GeometryError
from medfs.scans.dicom.headers import SliceHeader
from medfs.scans.grids import MAX_TILT_DEGREES

# Positions are decimal strings, often with two or three decimals: 0.01 mm is their rounding. 1 % of
# the step keeps every voxel within a hundredth of a slice of its place; a missing slice is 100 %.
_STEP_TOLERANCE_MM = 0.01
_STEP_TOLERANCE = 0.01
# Sideways shifts below a twentieth of a millimetre are far below any pixel size of CT, MR or PET.
_SIDEWAYS_MM = 0.05

Positions = Float[np.ndarray, "slice 3"]


def check_stack(headers: list[SliceHeader], positions: Positions, normal: np.ndarray) -> None:
    """Refuse a stack whose slices are not the planes of one regular grid.

    Args:
        headers: sorted along `normal`.
        positions: (slice, xyz) in mm, in the same order.
        normal: unit normal of the slices.

    Raises:
        GeometryError: several images at one position, a tilted stack, a gap, or shifted slices.
    """
    along = positions @ normal
    steps = np.diff(along)
    # Half of what rounding explains of a real step: below, two images share a position.
    repeated = np.flatnonzero(steps <= _STEP_TOLERANCE_MM / 2)
    if len(repeated):
        raise _repeats(headers, along, repeated)
    _check_tilt(headers, positions, normal)
    _check_steps(headers, along, steps)
    _check_straight(headers, positions)


def _repeats(headers: list[SliceHeader], along: np.ndarray, repeated: np.ndarray) -> GeometryError:
    one, two = headers[repeated[0]], headers[repeated[0] + 1]
    if one.repeating.get("SOPInstanceUID") == two.repeating.get("SOPInstanceUID") != "":
        return GeometryError(
            "an image is in the folder twice",
            why=f"{one.name} and {two.name} are the same image",
            todo="Remove one of them",
        )
    tags = {tag for h in headers for tag in h.repeating} - {"SOPInstanceUID"}
    values = {tag: sorted({h.repeating.get(tag, "") for h in headers}) for tag in sorted(tags)}
    varying = [f"{tag} ({', '.join(v[:3])} …)" for tag, v in values.items() if len(v) > 1]
    return GeometryError(
        "several images lie at the same position: a 4D series (several times, echoes or "
        "b-values), or repeats",
        why=f"{one.name} and {two.name} both lie at {along[repeated[0]]:.2f} mm, and "
        f"{len(repeated)} image(s) repeat a position. Between images differ: "
        f"{'; '.join(varying) or 'none of the usual attributes'}",
        todo="Put the images of one time, echo or b-value in a folder of their own",
    )


def _check_tilt(headers: list[SliceHeader], positions: Positions, normal: np.ndarray) -> None:
    way = positions[-1] - positions[0]
    sideways = float(np.linalg.norm(way - (way @ normal) * normal))
    angle = float(np.degrees(np.arctan2(sideways, way @ normal)))
    if angle <= MAX_TILT_DEGREES:
        return
    stated = headers[0].gantry_tilt
    raise GeometryError(
        "the slices are tilted against the direction of the stack (gantry tilt), which is not "
        "read yet",
        why=f"The stack leans by {angle:.2f}°"
        + (f", and GantryDetectorTilt is {stated:g}°" if stated is not None else ""),
        todo="Resample the series to a straight grid first, and give the result as NIfTI",
    )


def _check_steps(headers: list[SliceHeader], along: np.ndarray, steps: np.ndarray) -> None:
    median = float(np.median(steps))
    deviation = np.abs(steps - median)
    worst = int(np.argmax(deviation))
    if deviation[worst] <= max(_STEP_TOLERANCE * median, _STEP_TOLERANCE_MM):
        return
    around = ", ".join(f"{v:.2f}" for v in along[max(worst - 1, 0) : worst + 3])
    raise GeometryError(
        "the slices are not evenly spaced: slices are missing, or two stacks are mixed",
        why=f"Between {headers[worst].name} and {headers[worst + 1].name} lie "
        f"{steps[worst]:.3f} mm where {median:.3f} mm are usual (positions around it: {around} mm)",
        todo="Add the missing images, or keep one evenly spaced part in the folder",
    )


def _check_straight(headers: list[SliceHeader], positions: Positions) -> None:
    """The ends of the stack define its axis; every slice must lie where that axis puts it."""
    share = np.linspace(0, 1, len(positions))[:, np.newaxis]
    expected = positions[0] + share * (positions[-1] - positions[0])
    step = float(np.linalg.norm(positions[1] - positions[0]))
    off = np.linalg.norm(positions - expected, axis=1)
    worst = int(np.argmax(off))
    if off[worst] > max(_SIDEWAYS_MM, _STEP_TOLERANCE * step):
        raise GeometryError(
            "the slices do not lie in one straight stack",
            why=f"{headers[worst].name} is {off[worst]:.2f} mm away from where it belongs",
            todo="Keep one straight, evenly spaced stack in the folder",
        )
