"""DICOM RT structure sets (PS3.3 C.8.8.5 and C.8.8.6): the contours of one region of interest."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from medfs.core.errors import GeometryError, ScanReadError
from medfs.core.volumes import Volume
from medfs.scans.guards import reading
from medfs.scans.masks.choice import Choice, Label, choose, printable
from medfs.scans.masks.contours import fill
from medfs.scans.masks.dicom_files import load
from medfs.scans.masks.regions import Roi

_CLOSED, _XOR = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"
_CONTOUR_DATA = 0x30060050
_EXPORT = "Export the structure set again"


def read_structure(path: Path, like: Volume, label: Label) -> Roi:
    """Fill the closed contours of one structure on the grid of `like`.

    The frame of reference is not compared, since a scan does not keep its own: contours of another
    patient are noticed only where they leave the scan.

    Raises:
        ScanReadError: damaged, no contours, contours that enclose nothing (points, open lines), or
            a label that names not exactly one structure.
        GeometryError: contours that lie in no plane of voxels, leave out slices, contradict each
            other, or do not lie within the scan.
    """
    with reading(path.name):
        dataset = load(path)
        offered = _structures(dataset, path.name)
        nouns = ("structure", "structures")
        chosen = choose(offered, label, file=path.name, nouns=nouns)
        contours, exclusive = _contours(dataset, chosen, path.name)
        mask, notes = fill(contours, like, exclusive=exclusive)
    return Roi(mask, (*chosen.notes("structure", offered), *notes))


def _structures(dataset: Any, name: str) -> list[Choice]:
    found = [
        Choice(int(item.ROINumber), str(item.get("ROIName") or ""))
        for item in dataset.get("StructureSetROISequence") or ()
    ]
    if not found:
        raise ScanReadError("the mask names no structure", why=name, todo=_EXPORT)
    return found


def _contours(
    dataset: Any, chosen: Choice, name: str
) -> tuple[list[Float[np.ndarray, "point 3"]], bool]:
    """Closed contours in mm, RAS+, and whether they combine by exclusive or (C.8.8.6.3)."""
    items = [
        contour
        for roi in dataset.get("ROIContourSequence") or ()
        if int(roi.ReferencedROINumber) == chosen.number
        for contour in roi.get("ContourSequence") or ()
    ]
    if not items:
        raise ScanReadError(
            "the mask is empty",
            why=f"Structure {chosen} of {name} has no contours",
            todo="Draw the region, or leave the mask out",
        )
    kinds = {str(item.get("ContourGeometricType") or "none") for item in items}
    if kinds not in ({_CLOSED}, {_XOR}):
        shown = ", ".join(printable(kind) for kind in sorted(kinds)[:5])
        raise ScanReadError(
            "the contours of the structure enclose no region",
            why=f"Structure {chosen} of {name} has contours of the type {shown}; only "
            f"{_CLOSED} or {_XOR} ones can be filled",
            todo="Choose or draw a structure of closed contours",
        )
    return [_points(item, chosen, name) for item in items], kinds == {_XOR}


def _points(item: Any, chosen: Choice, name: str) -> Float[np.ndarray, "point 3"]:
    """One contour in mm, RAS+; decimal strings are parsed at once, pydicom needs minutes for them.

    Raises:
        GeometryError: not whole points, or not as many as declared.
    """
    element = item.get_item(_CONTOUR_DATA)
    raw = element.value if element is not None and element.value else []
    if isinstance(raw, bytes):
        raw = raw.rstrip(b" \0").split(b"\\")
    values = np.array([float(number) for number in raw])
    declared = int(item.get("NumberOfContourPoints") or len(values) // 3)
    if values.size != 3 * declared or not np.isfinite(values).all():
        raise GeometryError(
            "a contour of the structure is damaged",
            why=f"Structure {chosen} of {name} declares {declared} points in a contour that gives "
            f"{values.size} numbers",
            todo=_EXPORT,
        )
    points = values.reshape(-1, 3)
    if declared < 3:
        raise ScanReadError(
            "the contours of the structure enclose no region",
            why=f"Structure {chosen} of {name} has a contour of {declared} point(s)",
            todo=_EXPORT,
        )
    return points * np.array([-1.0, -1.0, 1.0])
