"""From slice headers to one grid, or a refusal that says what does not fit.

The mapping is that of DICOM PS3.3 C.7.6.2.1.1: a voxel's place follows from Image Position,
Image Orientation and Pixel Spacing. Instance numbers, file names, slice thickness and "spacing
between slices" place nothing and are never used.
"""

import numpy as np
from jaxtyping import Float

from medfs.core.errors import GeometryError
from medfs.scans.dicom.headers import SliceHeader
from medfs.scans.dicom.spacing import check_stack
from medfs.scans.grids import Affine, check_affine

# Images of one series carry the same strings; anything larger than their rounding is a difference.
_COSINE_TOLERANCE = 1e-4
_UNIT_LENGTH_TOLERANCE = 1e-3
_MM_TOLERANCE = 1e-4

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_EXPORT = "Export the series again from the archive, with its geometry"


def order_and_affine(headers: list[SliceHeader]) -> tuple[list[SliceHeader], Affine]:
    """Slices sorted along their normal, and the affine of (column, row, slice) in RAS+ mm.

    Raises:
        GeometryError: attributes missing or different between images, repeated positions, gaps,
            or slices that do not lie straight above each other.
    """
    _check_attributes(headers)
    _check_one_grid(headers)
    orientation, spacing = _first_plane(headers)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    positions = np.array([h.position for h in headers])
    order = np.argsort(positions @ normal, kind="stable")
    ordered = [headers[i] for i in order]
    check_stack(ordered, positions[order], normal)

    affine = np.eye(4)
    affine[:3, 0] = row * spacing[1]
    affine[:3, 1] = column * spacing[0]
    affine[:3, 2] = (positions[order[-1]] - positions[order[0]]) / (len(headers) - 1)
    affine[:3, 3] = positions[order[0]]
    affine = _LPS_TO_RAS @ affine
    check_affine(affine)
    return ordered, affine


def _first_plane(
    headers: list[SliceHeader],
) -> tuple[Float[np.ndarray, "6"], Float[np.ndarray, "2"]]:
    orientation, spacing = headers[0].orientation, headers[0].pixel_spacing
    if orientation is None or spacing is None:  # _check_attributes has refused these
        raise GeometryError("orientation and pixel spacing are missing", todo=_EXPORT)
    lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
    if (np.abs(lengths - 1) > _UNIT_LENGTH_TOLERANCE).any():
        raise GeometryError(
            "the direction cosines are not of length 1",
            why=f"ImageOrientationPatient of {headers[0].name} is {orientation.tolist()}",
            todo=_EXPORT,
        )
    if (spacing <= 0).any():
        raise GeometryError(
            "the pixel spacing is not positive",
            why=f"PixelSpacing of {headers[0].name} is {spacing.tolist()}",
            todo=_EXPORT,
        )
    return orientation, spacing


def _check_attributes(headers: list[SliceHeader]) -> None:
    for attribute, tag in (
        ("position", "ImagePositionPatient"),
        ("orientation", "ImageOrientationPatient"),
        ("pixel_spacing", "PixelSpacing"),
    ):
        lacking = [h.name for h in headers if getattr(h, attribute) is None]
        if lacking:
            raise GeometryError(
                "images do not say where they lie in the patient",
                why=f"{tag} is missing in {len(lacking)} of {len(headers)}, first in {lacking[0]}",
                todo=_EXPORT,
            )


def _check_one_grid(headers: list[SliceHeader]) -> None:
    """Refuse images of different direction, frame of reference, size or spacing."""
    first = headers[0]
    for what, attribute, tolerance in (
        ("ImageOrientationPatient", "orientation", _COSINE_TOLERANCE),
        ("PixelSpacing", "pixel_spacing", _MM_TOLERANCE),
        ("Rows", "rows", 0.0),
        ("Columns", "columns", 0.0),
    ):
        one = np.asarray(getattr(first, attribute), dtype=float)
        for other in headers[1:]:
            two = np.asarray(getattr(other, attribute), dtype=float)
            if np.abs(one - two).max() > tolerance:
                raise _differs(what, first, other, one.tolist(), two.tolist())
    for other in headers[1:]:
        if first.frame_of_reference != other.frame_of_reference:
            one_, two_ = first.frame_of_reference, other.frame_of_reference
            raise _differs("FrameOfReferenceUID", first, other, one_, two_)


def _differs(
    what: str, first: SliceHeader, other: SliceHeader, one: object, two: object
) -> GeometryError:
    kinds = {
        "ImageOrientationPatient": "the images do not lie parallel to each other "
        "(a localizer among them, or rotating projections)",
        "FrameOfReferenceUID": "the images do not share one coordinate system",
    }
    return GeometryError(
        kinds.get(what, "the images differ in size or pixel spacing"),
        why=f"{what} is {one} in {first.name} and {two} in {other.name}",
        todo="Keep the images of one parallel stack in the folder, and move the others away",
    )
