"""Which planes of voxels contours lie in, and whether any plane between them was left out."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from medfs.core.errors import GeometryError
from medfs.core.volumes import Volume
from medfs.scans.grids import spacing_of
from medfs.scans.masks.polygons import Cut
from medfs.scans.masks.regions import Notes

# Coordinates are rounded to this many decimals of a voxel. Contours that run through centres of
# voxels do so only up to the decimals they were written with; rounded, all such points are treated
# alike.
_DECIMALS = 4
_HALF_SLICE = 0.5
# Contours closer than this share of a slice are of one plane.
_SAME_PLANE = 0.05
# Positions halfway between two slices all go to the same one.
_ROUNDING = 1e-3
# Beyond any scan; larger numbers would not fit an integer.
_FAR = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A contour in the voxels of the scan.

    Attributes:
        millimetres: (point, xyz), RAS+, as drawn.
        height: position along the axis across the planes, in slices.
        points: (point, uv) along the two other voxel axes, in their order.
    """

    millimetres: Float[np.ndarray, "point 3"]
    height: float
    points: Float[np.ndarray, "point 2"]

    @property
    def slice(self) -> int:
        """The plane of voxels nearest to the contour."""
        return int(np.floor(self.height + _HALF_SLICE + _ROUNDING))


def place(contours: list[Float[np.ndarray, "point 3"]], like: Volume) -> tuple[int, list[Placed]]:
    """The voxel axis across which all contours are flat, and the contours in voxels.

    Raises:
        GeometryError: there is none: some contour leaves its plane by more than half a slice.
    """
    to_voxels = np.linalg.inv(like.affine)
    found = [
        np.clip(np.round(mm @ to_voxels[:3, :3].T + to_voxels[:3, 3], _DECIMALS), -_FAR, _FAR)
        for mm in contours
    ]
    heights = np.array([index.mean(axis=0) for index in found])
    off = np.array([np.abs(i - h).max(axis=0) for i, h in zip(found, heights, strict=True)]).max(
        axis=0
    )
    axis = int(np.argmin(off))
    if off[axis] > _HALF_SLICE:
        worst = ", ".join(f"{v:.2f}" for v in off)
        raise GeometryError(
            "the contours do not lie in slices of the scan",
            why=f"They leave their planes by {worst} voxels along the three axes of the scan, and "
            "half a slice is allowed along one",
            todo="Give the scan that the contours were drawn on",
        )
    placed = [
        Placed(mm, float(height[axis]), np.delete(index, axis, axis=1))
        for mm, height, index in zip(contours, heights, found, strict=True)
    ]
    return axis, placed


def one_plane_per_slice(placed: list[Placed], axis: int) -> tuple[list[Placed], Notes]:
    """Of several planes of contours within one slice, the one nearest to its middle."""
    planes: list[list[Placed]] = []
    for contour in sorted(placed, key=lambda c: c.height):
        if not planes or contour.height - planes[-1][0].height > _SAME_PLANE:
            planes.append([])
        planes[-1].append(contour)
    best: dict[int, list[Placed]] = {}
    for plane in planes:
        number = plane[0].slice
        if number not in best or abs(plane[0].height - number) < abs(
            best[number][0].height - number
        ):
            best[number] = plane
    left_out = len(planes) - len(best)
    kept = [Placed(c.millimetres, float(n), c.points) for n, plane in best.items() for c in plane]
    if not left_out:
        return kept, ()
    note = (
        f"{left_out} of {len(planes)} planes of contours were left out: they lie closer together "
        f"than the scan's slices along {'xyz'[axis]}, and the one nearest to the middle of a slice "
        "stands for it"
    )
    return kept, (("structure", note),)


def refuse_gaps(slices: dict[int, Cut], axis: int, like: Volume) -> None:
    """Refuse slices without contours between two whose contours lie above each other.

    Such slices would be cut out of the region. Parts of a region that do not lie above each other
    may end and begin wherever they want.

    Args:
        slices: slice number to what is inside, by growing number.
        axis: voxel axis across the slices.
        like: the scan.

    Raises:
        GeometryError: naming the slices and their positions.
    """
    numbers = list(slices)
    gaps = [(a, b) for a, b in pairwise(numbers) if b - a > 1 and slices[a].shared_with(slices[b])]
    if not gaps:
        return
    way = like.affine[:3, axis]
    world = int(np.argmax(np.abs(way)))
    middle = np.array(like.voxels.shape[1:]) / 2 - 0.5

    def position(number: int) -> str:
        index = middle.copy()
        index[axis] = number
        value = float((like.affine[:3, :3] @ index + like.affine[:3, 3])[world])
        return f"slice {number} ({'xyz'[world]} = {value:.1f} mm)"

    shown = "; ".join(f"{position(a)} and {position(b)}" for a, b in gaps[:4])
    more = f" and {len(gaps) - 4} more" if len(gaps) > 4 else ""
    raise GeometryError(
        "slices between the contours of the structure have none",
        why=f"Nothing is drawn between {shown}{more}, where slices are "
        f"{spacing_of(like.affine)[axis]:.3g} mm apart",
        todo="Interpolate the contours to every slice of this scan, or give the scan they were "
        "drawn on",
    )
