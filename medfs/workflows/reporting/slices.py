"""Patch → one slice in each of three planes, as radiologists look at them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from medfs.core.patches import Patch
from medfs.preprocess.intensity import limits
from medfs.preprocess.presets import Intensity
from medfs.reporting.values import Slice

# (axis that is cut, axis of the rows, axis of the columns), and what is at the left and at the top.
# Rows and columns run against the patch's axes, which point to the patient's right, front and head.
_PLANES = {
    "axial": (2, 1, 0, ("R", "A")),
    "coronal": (1, 2, 0, ("R", "S")),
    "sagittal": (0, 2, 1, ("A", "S")),
}
# Of intensities in standard deviations, beyond which hardly anything lies.
_SHOWN_DEVIATIONS = 2.5
_MARGIN = 2


@dataclass(frozen=True)
class Look:
    """How patches are shown: the model's intensities, and whether only the region is."""

    intensity: Intensity
    deface: bool = False


def slices(
    patch: Patch, look: Look, weight: Float[np.ndarray, "x y z"] | None = None
) -> tuple[Slice, ...]:
    """In each plane the slice that holds most of the region.

    Args:
        patch: the case.
        look: how it is shown.
        weight: laid over it, −1 to 1.
    """
    image, roi = patch.image[0].numpy(), patch.roi[0].numpy() > 0
    grey, mm = _grey(image, look.intensity), patch.spacing.tolist()
    if look.deface:
        grey = np.where(_wider(roi), grey, 0).astype(np.uint8)
    box = _box(roi) if look.deface else (slice(None),) * 3
    found = []
    for plane, (cut, rows, columns, sides) in _PLANES.items():
        at = _fullest(roi, cut)
        over = None if weight is None else _flat(weight, cut, at, box)
        pixels, inside = _flat(grey, cut, at, box), _flat(roi, cut, at, box)
        found.append(Slice(plane, pixels, inside, (mm[rows], mm[columns]), sides, over))
    return tuple(found)


def _flat(
    volume: Shaped[np.ndarray, "x y z"], cut: int, at: int, box: tuple[slice, ...]
) -> Shaped[np.ndarray, "row column"]:
    """One slice; the later of its two axes becomes the rows, and both are turned round."""
    window = tuple(part for axis, part in enumerate(box) if axis != cut)
    plane = np.take(volume, at, axis=cut)[window]
    return np.ascontiguousarray(plane.T[::-1, ::-1])


def _grey(image: Float[np.ndarray, "x y z"], intensity: Intensity) -> Shaped[np.ndarray, "x y z"]:
    low, high = limits(intensity)
    if intensity.kind == "zscore":
        low, high = max(low, -_SHOWN_DEVIATIONS), min(high, _SHOWN_DEVIATIONS)
    return np.round(255 * np.clip((image - low) / (high - low), 0, 1)).astype(np.uint8)


def _fullest(roi: Bool[np.ndarray, "x y z"], axis: int) -> int:
    """The slice with most of the region, the one nearest to the middle among equals."""
    area = roi.sum(axis=tuple(a for a in range(3) if a != axis))
    middle = (len(area) - 1) / 2
    return max(range(len(area)), key=lambda i: (area[i], -abs(i - middle), -i))


def _box(roi: Bool[np.ndarray, "x y z"]) -> tuple[slice, ...]:
    found = []
    for axis, size in enumerate(roi.shape):
        line = np.flatnonzero(roi.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = (line[0], line[-1]) if len(line) else (0, size - 1)
        found.append(slice(max(0, int(low) - _MARGIN), int(high) + 1 + _MARGIN))
    return tuple(found)


def _wider(roi: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """The region and what lies within `_MARGIN` steps of it."""
    for _ in range(_MARGIN):
        padded = np.pad(roi, 1)
        inner = slice(1, -1)
        roi = (
            roi
            | padded[:-2, inner, inner]
            | padded[2:, inner, inner]
            | padded[inner, :-2, inner]
            | padded[inner, 2:, inner]
            | padded[inner, inner, :-2]
            | padded[inner, inner, 2:]
        )
    return roi
