"""`read_series`: DICOM files to one `Volume`."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel.orientations as orientations
import numpy as np
from jaxtyping import Shaped

from medfs.core.errors import GeometryError, UsageError
from medfs.core.shear import MAX_SHEAR_DEGREES, straighten
from medfs.core.volumes import Provenance, Volume
from medfs.scans.dicom.choice import Choice, choose
from medfs.scans.dicom.index import index_files
from medfs.scans.dicom.pixels import Planes, read_planes
from medfs.scans.dicom.stacks import MIN_SLICES, Stack
from medfs.scans.files import ScanFile, find_files
from medfs.scans.grids import Affine, to_ras
from medfs.scans.guards import reading
from medfs.scans.options import DEFAULT, ReadOptions


def read_series(path: Path, options: ReadOptions = DEFAULT) -> Volume:
    """Read the one volume that lies in a folder tree, a zip, a DICOMDIR or a file.

    Slices are sorted by their place along the slice normal (DICOM PS3.3 C.7.6.2.1.1). The unit is
    `HU` for CT whose rescale states it or leaves it open, otherwise `arbitrary`.

    Returns:
        Volume with one channel, in RAS order; its provenance lists the files in slice order, what
        was skipped and why, and why this series was taken.

    Raises:
        GeometryError: no clear choice, or images that do not form one regular stack.
        ScanReadError: no image, or damaged files.
        MissingExtraError: a decoder is not installed.
    """
    with reading(path.name):
        return read_files(find_files(path), options)


def read_files(files: Sequence[ScanFile], options: ReadOptions = DEFAULT) -> Volume:
    """The same, for files that were found already."""
    choice = choose(index_files(files), options)
    _check_tilt(choice.stack, options)
    planes, affine, notes = _voxels(choice.stack, options)
    voxels, affine = to_ras(planes.voxels, affine)
    volume = Volume(
        voxels[np.newaxis],
        affine,
        choice.stack.modality,
        _unit(choice.stack),
        _provenance(choice, planes.sha256, notes),
    )
    return _finished(volume, choice.stack, options)


def _voxels(stack: Stack, options: ReadOptions) -> tuple[Planes, Affine, list[tuple[str, str]]]:
    """Voxels (column, row, slice) turned so that no axis needs flipping, with their affine."""
    flips, affine = _flipped(stack)
    number = len(stack.volumes)
    if number == 1 and options.volume in (None, "first", "mean", 0):
        return read_planes(stack.volumes[0], flips), affine, []
    if options.volume is None:
        raise GeometryError(
            "the series is 4D: it holds several volumes, and which one is meant is not clear",
            why=f"{number} volumes: {', '.join(stack.labels[:4])}" + (" …" if number > 4 else ""),
            todo="Say which: volume: first, mean, or an index from 0, in the rules (--series), or "
            "put the images of one volume in a folder of their own",
        )
    if options.volume == "mean":
        note = ("volume", f"the mean of {number} volumes of a 4D series")
        return _mean(stack, flips), affine, [note]
    wanted = 0 if options.volume == "first" else int(options.volume)
    if wanted >= number:
        raise UsageError(
            f"the series has no volume {wanted}",
            why=f"It holds {number}, counted from 0",
            todo="Give a smaller index",
        )
    note = ("volume", f"index {wanted} of the {number} volumes of a 4D series")
    return read_planes(stack.volumes[wanted], flips), affine, [note]


def _mean(stack: Stack, flips: tuple[bool, bool, bool]) -> Planes:
    total: Shaped[np.ndarray, "column row slice"] | None = None
    hashes = []
    for volume in stack.volumes:
        planes = read_planes(volume, flips)
        hashes.append(planes.sha256)
        total = planes.voxels.astype(np.float64) if total is None else total + planes.voxels
    if total is None:
        raise GeometryError("the series holds no volume")
    digest = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Planes((total / len(stack.volumes)).astype(np.float32), digest)


def _flipped(stack: Stack) -> tuple[tuple[bool, bool, bool], Affine]:
    """Which of (column, row, slice) runs against RAS, and the affine once those are turned."""
    directions = orientations.io_orientation(stack.affine)[:, 1]
    affine = stack.affine.copy()
    for axis, (size, direction) in enumerate(zip(stack.shape, directions, strict=True)):
        if direction < 0:
            affine[:3, 3] += affine[:3, axis] * (size - 1)
            affine[:3, axis] *= -1
    column, row, plane = (bool(d < 0) for d in directions)
    return (column, row, plane), affine


def _unit(stack: Stack) -> str:
    units = {f.unit for volume in stack.volumes for f in volume}
    return units.pop() if len(units) == 1 else "arbitrary"


def _check_tilt(stack: Stack, options: ReadOptions) -> None:
    if stack.tilt <= MAX_SHEAR_DEGREES or options.tilt != "refuse":
        return
    stated = stack.header.number("GantryDetectorTilt")
    raise GeometryError(
        "the slices are tilted against the direction of the stack (gantry tilt)",
        why=f"The stack leans by {stack.tilt:.2f}°"
        + (f", and GantryDetectorTilt is {stated:g}°" if stated is not None else ""),
        todo="Read it with tilt: keep or tilt: correct",
    )


def _provenance(choice: Choice, sha256: str, notes: list[tuple[str, str]]) -> Provenance:
    stack = choice.stack
    names = dict.fromkeys(f.header.name for volume in stack.volumes for f in volume)
    found = [*notes]
    if stack.header.text("LossyImageCompression") == "01":
        found.append(("compression", "the images were compressed with loss"))
    if stack.shape[2] < MIN_SLICES:
        found.append(("slices", f"only {stack.shape[2]}: their distance cannot be checked"))
    if stack.tilt > MAX_SHEAR_DEGREES:
        found.append(("tilt", f"the stack leans by {stack.tilt:.2f}° (gantry tilt)"))
    return Provenance(
        "dicom", tuple(names), sha256, choice.skipped, choice=choice.reason, notes=tuple(found)
    )


def _finished(volume: Volume, stack: Stack, options: ReadOptions) -> Volume:
    """Units and right angles, where they are asked for."""
    if options.suv:
        from medfs.scans.dicom.suv import to_suv

        volume = to_suv(volume, stack)
    if options.tilt != "correct" or stack.tilt <= MAX_SHEAR_DEGREES:
        return volume
    voxels, affine = straighten(
        volume.voxels[0], volume.affine, order=1, fill=float(volume.voxels.min())
    )
    note = ("tilt", "corrected: resampled to right angles, new voxels hold the smallest value")
    provenance = replace(volume.provenance, notes=(*volume.provenance.notes, note))
    return replace(volume, voxels=voxels[np.newaxis], affine=affine, provenance=provenance)
