"""Where to look when there is no mask."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy import ndimage

from medfs.core.errors import DataError, ScanReadError

# Regions are found on a grid of at most this many points per axis: enough for a bounding box and a
# smooth region, and a whole-body scan costs no more than a crop.
_COARSE = 128


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A region on every `stride`-th voxel of a volume, per axis, starting at voxel 0."""

    mask: Bool[np.ndarray, "x y z"]
    stride: tuple[int, int, int]
    note: str | None

    def bounds(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """First and last voxel edge of the region in voxel units of the volume (index − ½, + ½).

        Raises:
            DataError: the region is empty.
        """
        if not self.mask.any():
            raise DataError(
                "the region is empty",
                why="No voxel is marked or found in the scan",
                todo="Mark the finding, or predict and adapt without masks",
            )
        low, high = np.empty(3), np.empty(3)
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            inside = np.flatnonzero(self.mask.any(axis=others))
            low[axis], high[axis] = inside[0], inside[-1]
        stride = np.asarray(self.stride, dtype=float)
        return (low - 0.5) * stride, (high + 0.5) * stride


def from_mask(mask: Bool[np.ndarray, "x y z"]) -> Region:
    """The region that a person marked."""
    return Region(mask, (1, 1, 1), None)


def half_maximum(voxels: Shaped[np.ndarray, "x y z"]) -> Region:
    """Voxels above half of the maximum: the shape itself in a binary volume."""
    return Region(voxels > voxels.max() / 2, (1, 1, 1), None)


def whole(voxels: Shaped[np.ndarray, "x y z"]) -> Region:
    """Every voxel."""
    return Region(np.ones(voxels.shape, dtype=bool), (1, 1, 1), "no mask: the whole scan is used")


def otsu(voxels: Shaped[np.ndarray, "x y z"]) -> Region:
    """The bright component with the most mass near the centre of the scan.

    Bright is above Otsu's threshold (Otsu 1979). Mass is weighted by a Gaussian around the centre
    whose standard deviation is a quarter of the scan: in a crop around a lesion it is the lesion,
    in a whole scan the body.

    Raises:
        ScanReadError: all voxels have the same value.
    """
    stride = strides(voxels.shape)
    coarse = voxels[tuple(slice(None, None, s) for s in stride)].astype(np.float32, order="C")
    components, count = ndimage.label(coarse > _otsu_threshold(coarse))
    masses = np.bincount(
        components.ravel(), weights=_centrality(coarse.shape).ravel(), minlength=count + 1
    )
    chosen = components == 1 + int(np.argmax(masses[1:]))
    note = "no mask: the region was found (bright component nearest the centre)"
    return Region(chosen, stride, note)


def constant(value: float) -> ScanReadError:
    """The error of a scan in which nothing can be found."""
    return ScanReadError(
        "all voxels have the same value",
        why=f"Every voxel is {value:g}",
        todo="Check the export of this scan, or remove it",
    )


def strides(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Every how manieth voxel a region is found on, per axis."""
    x, y, z = (int(np.ceil(n / _COARSE)) for n in shape)
    return x, y, z


def _otsu_threshold(values: Float[np.ndarray, "x y z"]) -> float:
    low, high = np.percentile(values, [0.5, 99.5])
    if low == high:
        low, high = float(values.min()), float(values.max())
    if low == high:
        raise constant(low)
    counts, edges = np.histogram(np.clip(values, low, high), bins=256, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = mass / below - (mass[-1] - mass) / above
    between = np.where((below > 0) & (above > 0), below * above * gap**2, -1.0)
    return float(centres[int(np.argmax(between))])


def _centrality(shape: tuple[int, ...]) -> Float[np.ndarray, "x y z"]:
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 4)) ** 2) for n in shape]
    return np.einsum("x,y,z->xyz", *axes)
