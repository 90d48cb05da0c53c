"""Checks of a sorted stack of planes: no gaps, straight above each other."""

import numpy as np
from jaxtyping import Float

from medfs.core.errors import GeometryError
from medfs.scans.dicom.frames import Frame

# Positions are decimal strings, often with two or three decimals: 0.01 mm is their rounding. 1 % of
# the step keeps every voxel within a hundredth of a slice of its place; a missing slice is 100 %.
_STEP_TOLERANCE_MM = 0.01
_STEP_TOLERANCE = 0.01
# Half of what rounding explains of a real step: below, two images share a position.
SAME_POSITION_MM = _STEP_TOLERANCE_MM / 2
# Sideways shifts below a twentieth of a millimetre are far below any pixel size of CT, MR or PET.
_SIDEWAYS_MM = 0.05

Positions = Float[np.ndarray, "slice 3"]


def check_stack(frames: list[Frame], positions: Positions, normal: np.ndarray) -> None:
    """Refuse a stack whose planes are not those of one regular grid.

    Args:
        frames: sorted along `normal`, all at different heights.
        positions: (slice, xyz) in mm, in the same order.
        normal: unit normal of the slices.

    Raises:
        GeometryError: a gap, or shifted slices.
    """
    along = positions @ normal
    steps = np.diff(along)
    median = float(np.median(steps))
    deviation = np.abs(steps - median)
    worst = int(np.argmax(deviation))
    if deviation[worst] > max(_STEP_TOLERANCE * median, _STEP_TOLERANCE_MM):
        raise _uneven(frames, along, worst, median)
    _check_straight(frames, positions)


def _uneven(frames: list[Frame], along: np.ndarray, worst: int, median: float) -> GeometryError:
    around = ", ".join(f"{v:.2f}" for v in along[max(worst - 1, 0) : worst + 3])
    return GeometryError(
        "the slices are not evenly spaced: slices are missing, or two stacks are mixed",
        why=f"Between {frames[worst].name} and {frames[worst + 1].name} lie "
        f"{along[worst + 1] - along[worst]:.3f} mm where {median:.3f} mm are usual (positions "
        f"around it: {around} mm)",
        todo="Add the missing images, or keep one evenly spaced part in the folder",
    )


def _check_straight(frames: list[Frame], positions: Positions) -> None:
    """The ends of the stack define its axis; every slice must lie where that axis puts it."""
    share = np.linspace(0, 1, len(positions))[:, np.newaxis]
    expected = positions[0] + share * (positions[-1] - positions[0])
    step = float(np.linalg.norm(positions[1] - positions[0]))
    off = np.linalg.norm(positions - expected, axis=1)
    worst = int(np.argmax(off))
    if off[worst] > max(_SIDEWAYS_MM, _STEP_TOLERANCE * step):
        raise GeometryError(
            "the slices do not lie in one straight stack",
            why=f"{frames[worst].name} is {off[worst]:.2f} mm away from where it belongs",
            todo="Keep one straight, evenly spaced stack in the folder",
        )
