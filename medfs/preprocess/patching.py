"""Volume + mask + preset → Patch."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped

from medfs.core.errors import FieldError
from medfs.core.patches import Patch
from medfs.core.volumes import Volume
from medfs.preprocess import regions
from medfs.preprocess.finder import find
from medfs.preprocess.learned import learned
from medfs.preprocess.presets import Preset
from medfs.preprocess.regions import Region
from medfs.preprocess.resample import resample
from medfs.preprocess.sampled import sampled
from medfs.preprocess.straight import Straight, check_field, straight

_FINDERS: dict[str, Callable[[Shaped[np.ndarray, "x y z"]], Region]] = {
    "otsu": regions.otsu,
    "half-maximum": regions.half_maximum,
    "whole": regions.whole,
}


def make_patch(volume: Volume, mask: Bool[np.ndarray, "x y z"] | None, preset: Preset) -> Patch:
    """Cut the region out of a scan, on the preset's grid.

    The grid is centred on the region's bounding box and aligned with the scan's axes. A region that
    does not fit enlarges the grid spacing, in all directions alike, and says so in `notes`; so does
    a scan with a tilted gantry, which is brought to right angles first.

    Raises:
        ScanReadError: the scan is constant.
        DataError: the region is empty.
        GeometryError: the scan's grid leans in more than one direction.
    """
    scan = straight(volume, mask)
    region = _region(scan, preset)
    low, high = region.bounds()
    spacing = np.asarray(scan.volume.spacing)
    needed = (high - low) * spacing + 2 * preset.margin_mm
    factor = max(1.0, float(np.max(needed / _field_of(preset))))
    grid = np.asarray(preset.spacing_mm) * factor
    centre = (low + high) / 2
    image = sampled(scan.volume, preset.intensity, centre, grid, preset.shape, volume.voxels[0])
    roi, empty = _roi(region, centre, grid / spacing, preset.shape)
    notes = [*scan.notes, *([region.note] if region.note else [])]
    if factor > 1:
        notes.append(f"the region does not fit: grid spacing enlarged {factor:.2f} times")
    if empty:
        notes.append("the region is smaller than a grid cell")
    padding = _padding(scan.volume.voxels.shape[1:], centre, grid / spacing, preset.shape)
    return _patch(image, roi, grid, preset, notes, padding)


def make_field_patch(volume: Volume, field_mm: tuple[float, float, float], preset: Preset) -> Patch:
    """The same field of view from the centre of any scan.

    The region is what the network finds in it if the preset's region is `learned`, else all of it.
    Nothing outside the field is read into the patch; beyond it, the image repeats its edge.

    Raises:
        FieldError: the scan is smaller than the field, or the field than the grid.
        GeometryError: the scan's grid leans in more than one direction.
    """
    field = np.asarray(field_mm, dtype=float)
    scan = straight(volume, None)
    check_field(volume, scan.volume, field)
    grid = np.asarray(preset.spacing_mm) * max(1.0, float(np.max(field / _field_of(preset))))
    touched = _touched(scan.volume, field)
    centre = (np.asarray(touched.voxels.shape[1:]) - 1) / 2
    inside = _box(field, grid, preset.shape)
    if not inside.any():
        raise FieldError(
            "the chosen field of view is smaller than the grid",
            why=f"It measures {_times(field)} mm, two grid steps {_times(2 * grid)} mm",
            todo="Choose a larger field, or a preset with a finer grid",
        )
    reference = _central(scan.volume, field)
    image = sampled(touched, preset.intensity, centre, grid, preset.shape, reference)
    image = _repeated(image, inside)
    if preset.region == "learned":
        found = find(image, inside)
        roi, note = found.mask, f"{found.note}, within the central field of view"
    else:
        roi, note = inside, "the central field of view is the region"
    return _patch(image, roi, grid, preset, [*scan.notes, note])


def _region(scan: Straight, preset: Preset) -> Region:
    """What was marked, or what the preset finds in the voxels that the scan covers."""
    if scan.mask is not None:
        return regions.from_mask(scan.mask)
    if preset.region == "learned":
        return learned(scan.volume, scan.covered, preset)
    region = _FINDERS[preset.region](scan.volume.voxels[0])
    if scan.covered is None:
        return region
    covered = scan.covered[tuple(slice(None, None, s) for s in region.stride)]
    return replace(region, mask=region.mask & covered)


def _times(lengths: Float[np.ndarray, "3"]) -> str:
    return " × ".join(f"{length:g}" for length in lengths)


def _field_of(preset: Preset) -> Float[np.ndarray, "3"]:
    return np.asarray(preset.spacing_mm) * np.asarray(preset.shape)


def _box(
    field: Float[np.ndarray, "3"], grid: Float[np.ndarray, "3"], shape: tuple[int, int, int]
) -> Bool[np.ndarray, "i j k"]:
    """Points of the grid whose cells lie within the field."""
    x, y, z = (
        (np.abs(np.arange(n) - (n - 1) / 2) + 0.5) * step <= length / 2 + 1e-6
        for n, step, length in zip(shape, grid, field, strict=True)
    )
    return x[:, None, None] & y[None, :, None] & z[None, None, :]


def _repeated(
    image: Float[np.ndarray, "i j k"], inside: Bool[np.ndarray, "i j k"]
) -> Float[np.ndarray, "i j k"]:
    """Beyond a box the image repeats its edge: a border would be the strongest edge there is."""
    kept = []
    for axis, n in enumerate(image.shape):
        line = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        kept.append(np.clip(np.arange(n), line[0], line[-1]))
    return image[np.ix_(*kept)]


def _touched(volume: Volume, field: Float[np.ndarray, "3"]) -> Volume:
    """The voxels of which any part lies within the field: interpolation can read no others."""
    crop = [slice(None)]
    for size, spacing, length in zip(volume.voxels.shape[1:], volume.spacing, field, strict=True):
        offset = np.abs(np.arange(size) - (size - 1) / 2) * spacing
        line = np.flatnonzero(offset - spacing / 2 < length / 2 - 1e-6)
        crop.append(slice(int(line[0]), int(line[-1]) + 1))
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start for s in crop[1:]]
    return replace(volume, voxels=volume.voxels[tuple(crop)], affine=affine)


def _central(volume: Volume, field: Float[np.ndarray, "3"]) -> Shaped[np.ndarray, "x y z"]:
    """The voxels whose centres lie within the field, at least one per axis."""
    crop = []
    for size, spacing, length in zip(volume.voxels.shape[1:], volume.spacing, field, strict=True):
        kept = min(size, max(1, int(length / spacing + 1e-6)))
        # As many on each side, so that a mirrored scan gives the mirrored patch.
        kept -= (size - kept) % 2 if kept > 1 else 0
        first = (size - kept) // 2
        crop.append(slice(first, first + kept))
    return volume.voxels[0][tuple(crop)]


def _roi(
    region: Region,
    centre: Float[np.ndarray, "3"],
    step: Float[np.ndarray, "3"],
    shape: tuple[int, int, int],
) -> tuple[Float[np.ndarray, "i j k"], bool]:
    stride = np.asarray(region.stride, dtype=float)
    share = resample(region.mask, centre / stride, step / stride, shape, repeat_edge=False)
    peak = float(share.max())
    # A region thinner than the grid keeps the points where it weighs most instead of vanishing.
    return (share >= min(0.5, peak / 2)).astype(np.float32), peak < 0.5


def _padding(
    size: tuple[int, ...],
    centre: Float[np.ndarray, "3"],
    step: Float[np.ndarray, "3"],
    shape: tuple[int, int, int],
) -> float:
    """Share of the grid's points in no voxel of the scan; the grid is separable, so this is too."""
    inside = 1.0
    for voxels, middle, stride, n in zip(size, centre, step, shape, strict=True):
        points = middle + (np.arange(n) - (n - 1) / 2) * stride
        inside *= float(np.mean((points >= -0.5) & (points <= voxels - 0.5)))
    return 1.0 - inside


def _patch(
    image: Float[np.ndarray, "i j k"],
    roi: Shaped[np.ndarray, "i j k"],
    grid: Float[np.ndarray, "3"],
    preset: Preset,
    notes: list[str],
    padding: float = 0.0,
) -> Patch:
    return Patch(
        torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None],
        torch.from_numpy(np.ascontiguousarray(roi, dtype=np.float32))[None],
        torch.tensor(grid, dtype=torch.float32),
        preset.name,
        tuple(notes),
        padding,
    )
