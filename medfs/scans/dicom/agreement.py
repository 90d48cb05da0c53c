"""What the planes of one stack must have in common, and the error that names what they do not."""

from collections.abc import Sequence

import numpy as np

from medfs.core.errors import GeometryError
from medfs.scans.dicom.frames import Frame
from medfs.scans.dicom.geometry import COSINE_TOLERANCE, MM_TOLERANCE
from medfs.scans.grids import Affine

ONE_STACK = "Keep the images of one parallel stack in the folder, and move the others away"


def same_grid(one: Frame, other: Frame) -> bool:
    """Whether two planes are parallel, of one size and spacing, and in one coordinate system."""
    if (one.rows, one.columns) != (other.rows, other.columns):
        return False
    if one.header.text("FrameOfReferenceUID") != other.header.text("FrameOfReferenceUID"):
        return False
    pairs = ((one.orientation, other.orientation), (one.pixel_spacing, other.pixel_spacing))
    return all(
        a is not None and b is not None and float(np.abs(a - b).max()) <= COSINE_TOLERANCE
        for a, b in pairs
    )


def check_not_mixed(frames: list[Frame], names: Sequence[str]) -> None:
    """Refuse a stack along which echoes, b-values or times (`names`) take turns."""
    for name in names:
        values = {f.keys.get(name, f.times.get(name)) for f in frames}
        if len(values) > 1:
            shown = ", ".join(sorted(map(str, values))[:5])
            raise GeometryError(
                f"the slices of the stack differ in {name}",
                why=f"{name} takes {len(values)} values: {shown}",
                todo="Keep the images of one echo, b-value or time in the folder, or export the "
                "series again if some are missing",
            )


def check_same_place(grids: list[Affine], labels: list[str]) -> None:
    """Refuse volumes of a 4D series, called by `labels`, that do not lie on one grid (0.05 mm)."""
    for grid, label in zip(grids[1:], labels[1:], strict=True):
        off = float(np.abs(grid - grids[0]).max())
        if off > 0.05:
            raise GeometryError(
                "the volumes of a 4D series do not lie in the same place",
                why=f"That of {label} is off by {off:.2f} mm",
                todo="Put the images of one time, echo or b-value in a folder of their own",
            )


def check_one_grid(frames: list[Frame]) -> None:
    """Refuse planes of different direction, frame of reference, size or spacing."""
    first = frames[0]
    for what, attribute, tolerance in (
        ("ImageOrientationPatient", "orientation", COSINE_TOLERANCE),
        ("PixelSpacing", "pixel_spacing", MM_TOLERANCE),
        ("Rows", "rows", 0.0),
        ("Columns", "columns", 0.0),
    ):
        values = np.array([np.atleast_1d(getattr(f, attribute)) for f in frames], dtype=float)
        off = np.abs(values - values[0]).max(axis=1)
        if off.max() > tolerance:
            other = int(np.argmax(off > tolerance))
            one, two = (getattr(f, attribute) for f in (first, frames[other]))
            raise _differs(what, first, frames[other], _plain(one), _plain(two))
    for other_frame in frames[1:]:
        uids = [f.header.text("FrameOfReferenceUID") for f in (first, other_frame)]
        if uids[0] != uids[1]:
            raise _differs("FrameOfReferenceUID", first, other_frame, *uids)


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _differs(what: str, first: Frame, other: Frame, one: object, two: object) -> GeometryError:
    kinds = {
        "ImageOrientationPatient": "the images do not lie parallel to each other "
        "(a localizer among them, or rotating projections)",
        "FrameOfReferenceUID": "the images do not share one coordinate system",
    }
    return GeometryError(
        kinds.get(what, "the images differ in size or pixel spacing"),
        why=f"{what} is {one} in {first.name} and {two} in {other.name}",
        todo=ONE_STACK,
    )
