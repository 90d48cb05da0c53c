"""Polygons in one plane of voxels: which centres they enclose."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

# Crossings held at once; contours may have any number of points.
_PART = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Voxels of one plane, `inside`[u, v] being voxel (low[0] + u, low[1] + v)."""

    low: tuple[int, int]
    inside: Bool[np.ndarray, "u v"]

    @property
    def high(self) -> tuple[int, int]:
        """The first voxel beyond, along u and v."""
        return self.low[0] + self.inside.shape[0], self.low[1] + self.inside.shape[1]

    def count(self) -> int:
        """Voxels inside."""
        return int(np.count_nonzero(self.inside))

    def within(self, low: tuple[int, int], high: tuple[int, int]) -> "Cut":
        """The part from `low` on and before `high`, empty where they do not meet."""
        a, b = (max(one, other) for one, other in zip(self.low, low, strict=True))
        c, d = (min(one, other) for one, other in zip(self.high, high, strict=True))
        (u, v), (c, d) = self.low, (max(a, c), max(b, d))
        return Cut((a, b), self.inside[a - u : c - u, b - v : d - v])

    def shared_with(self, other: "Cut") -> int:
        """Voxels inside both."""
        mine, theirs = self.within(other.low, other.high), other.within(self.low, self.high)
        return int(np.count_nonzero(mine.inside & theirs.inside))


def enclosed(points: Float[np.ndarray, "point 2"]) -> Cut:
    """Voxels whose centres a closed polygon encloses, by the even-odd rule.

    A centre is inside if a ray from it along −u crosses an odd number of edges. Edges are half
    open: centres exactly on an edge belong to the side of growing u, or v along an edge parallel to
    u. Polygons that share an edge therefore neither overlap nor leave voxels between them. An edge
    that is run through there and back, as in a keyhole, changes nothing.

    Args:
        points: (u, v) in voxels, whole numbers being centres. The last joins the first.
    """
    low = np.floor(points.min(axis=0)).astype(int)
    size = np.ceil(points.max(axis=0)).astype(int) - low + 1
    local = points - low
    toggles = np.zeros((size[0] + 1) * size[1], dtype=np.int64)
    begin, end = local, np.roll(local, -1, axis=0)
    first = np.ceil(np.minimum(begin[:, 1], end[:, 1])).astype(int)
    rows = np.ceil(np.maximum(begin[:, 1], end[:, 1])).astype(int) - first
    starts = np.concatenate([[0], np.cumsum(rows)])
    edge = 0
    while edge < len(rows):
        last = max(int(np.searchsorted(starts, starts[edge] + _PART, side="right")) - 1, edge + 1)
        part = slice(edge, last)
        flat = _crossings(begin[part], end[part], first[part], rows[part], int(size[1]))
        toggles += np.bincount(flat, minlength=len(toggles))
        edge = last
    odd = (toggles.reshape(size[0] + 1, size[1]) & 1).astype(bool)
    inside = np.logical_xor.accumulate(odd, axis=0)[:-1]
    return Cut((int(low[0]), int(low[1])), inside)


def _crossings(
    begin: Float[np.ndarray, "edge 2"],
    end: Float[np.ndarray, "edge 2"],
    first: np.ndarray,
    rows: np.ndarray,
    width: int,
) -> np.ndarray:
    """Flat index (u, v) of the first voxel behind each crossing of an edge with a row."""
    edge = np.repeat(np.arange(len(rows)), rows)
    v = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows)
    # Always from the lower end, so that an edge run there and back crosses at the same place.
    down = begin[edge, 1] > end[edge, 1]
    a = np.where(down[:, np.newaxis], end[edge], begin[edge])
    b = np.where(down[:, np.newaxis], begin[edge], end[edge])
    share = (v - a[:, 1]) / (b[:, 1] - a[:, 1])
    u = np.ceil(a[:, 0] + share * (b[:, 0] - a[:, 0]) - 1e-9).astype(int)
    return np.maximum(u, 0) * width + v


def area(points: Float[np.ndarray, "point 2"]) -> float:
    """Area of a polygon in voxels, by the shoelace formula."""
    u, v = (points - points.mean(axis=0)).T
    return abs(float(u @ np.roll(v, -1) - v @ np.roll(u, -1))) / 2
