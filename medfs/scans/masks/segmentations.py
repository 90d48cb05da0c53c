"""DICOM segmentations (PS3.3 A.51 and C.8.20): one segment on the grid of its own frames.

highdicom decodes the frames. Its volumes are not used: they refuse stacks with a tilted gantry, and
its classes ask for attributes that have nothing to do with where a segment lies.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped

from medfs.core.errors import GeometryError, ScanReadError
from medfs.scans.dicom.enhanced import functional
from medfs.scans.guards import reading
from medfs.scans.masks.choice import Choice, Label, choose
from medfs.scans.masks.dicom_files import load
from medfs.scans.masks.planes import stack_of
from medfs.scans.masks.regions import Drawn
from medfs.scans.masks.segmentation_pixels import check_pixels, frames

_MAX_VOXELS = 1 << 31
_EMPTY = "Draw the region, or leave the mask out"


def read_segmentation(path: Path, label: Label) -> Drawn:
    """One segment of a BINARY, FRACTIONAL or LABELMAP segmentation.

    A voxel of a fractional segment is inside from half of MaximumFractionalValue on. Frames that
    the file leaves out are empty (PS3.3 C.8.20.2).

    Raises:
        ScanReadError: damaged, empty, or a label that names not exactly one segment.
        GeometryError: frames that are not one even stack.
        MissingExtraError: the decoder of the pixels is not installed.
    """
    with reading(path.name):
        dataset = load(path)
        check_pixels(dataset, path.name)
        offered = _segments(dataset, path.name)
        chosen = choose(offered, label, file=path.name, nouns=("segment", "segments"))
        numbers = _frames_of(dataset, int(chosen.number))
        if not numbers:
            raise _empty(path.name, chosen)
        stack = stack_of(dataset, path.name)
        slices = stack.slices[numbers]
        _refuse_repeats(slices, chosen, path.name)
        mask = _filled(dataset, path.name, numbers, slices - slices.min(), int(chosen.number))
        if not mask.any():
            raise _empty(path.name, chosen)
    affine = stack.affine.copy()
    affine[:3, 3] += affine[:3, 2] * slices.min()
    return Drawn(mask, affine, chosen.notes("segment", offered))


def _segments(dataset: Any, name: str) -> list[Choice]:
    """All segments; number 0 is the background of a label map (PS3.3 C.8.20.2.4)."""
    found = [
        Choice(int(item.SegmentNumber), str(item.get("SegmentLabel") or ""))
        for item in dataset.get("SegmentSequence") or ()
    ]
    found = [c for c in found if c.number != 0]
    if not found:
        raise ScanReadError("the mask names no segment", why=name, todo="Export the mask again")
    return found


def _frames_of(dataset: Any, number: int) -> list[int]:
    """Frames, from 0, that may hold the segment; of a label map, all."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    groups = dataset.PerFrameFunctionalGroupsSequence
    if str(dataset.SegmentationType) == "LABELMAP":
        return list(range(len(groups)))
    sequence, keyword = "SegmentIdentificationSequence", "ReferencedSegmentNumber"
    return [
        index
        for index, own in enumerate(groups)
        if functional(own, shared, sequence, keyword) == number
    ]


def _refuse_repeats(slices: Int[np.ndarray, "frame"], chosen: Choice, name: str) -> None:
    if len(np.unique(slices)) < len(slices):
        raise GeometryError(
            "two frames of the segment lie at the same place",
            why=f"Segment {chosen} of {name} has {len(slices)} frames in "
            f"{len(np.unique(slices))} slices",
            todo="Export the segmentation of one time point, without tiles",
        )


def _filled(
    dataset: Any, name: str, numbers: list[int], slices: Int[np.ndarray, "frame"], segment: int
) -> Bool[np.ndarray, "i j k"]:
    shape = int(dataset.Columns), int(dataset.Rows), int(slices.max()) + 1
    if int(np.prod(shape, dtype=object)) > _MAX_VOXELS:
        raise ScanReadError(
            "the segmentation is too large",
            why=f"Its segment spans {shape[0]} × {shape[1]} × {shape[2]} voxels",
            todo="Export only the part around the region",
        )
    mask = np.zeros(shape, dtype=bool)
    where = dict(zip(numbers, slices.tolist(), strict=True))
    for index, stored in frames(dataset, frozenset(numbers), name):
        mask[..., where[index]] = _inside(stored, dataset, segment).T
    return mask


def _inside(
    stored: Shaped[np.ndarray, "row column"], dataset: Any, segment: int
) -> Bool[np.ndarray, "row column"]:
    kind = str(dataset.SegmentationType)
    if kind == "LABELMAP":
        return stored == segment
    if kind == "FRACTIONAL":
        return stored >= int(dataset.MaximumFractionalValue) / 2
    return stored != 0


def _empty(name: str, chosen: Choice) -> ScanReadError:
    return ScanReadError(
        "the mask is empty", why=f"Segment {chosen} of {name} has no voxels", todo=_EMPTY
    )
