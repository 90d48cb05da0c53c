"""The fine grid on which anatomy is drawn before a scanner averages it into slices."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Field = Float[np.ndarray, "x y z"]
Box = tuple[slice, slice, slice]
Offsets = tuple[Float[np.ndarray, "x 1 1"], Float[np.ndarray, "1 y 1"], Float[np.ndarray, "1 1 z"]]


@dataclass(frozen=True, slots=True)
class Grid:
    """Voxel centres in mm along each axis; 0 is the middle of the crop."""

    x: Float[np.ndarray, "x"]
    y: Float[np.ndarray, "y"]
    z: Float[np.ndarray, "z"]

    @classmethod
    def centred(cls, counts: tuple[int, int, int], spacing: tuple[float, float, float]) -> "Grid":
        """A grid of `counts` voxels, `spacing` mm apart."""
        axes = [
            (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(step)
            for n, step in zip(counts, spacing, strict=True)
        ]
        return cls(*axes)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.x), len(self.y), len(self.z)

    def box(self, low: Float[np.ndarray, "3"], high: Float[np.ndarray, "3"]) -> Box:
        """The voxels between two corners in mm; may be empty."""
        ends = [
            slice(int(np.searchsorted(axis, a)), int(np.searchsorted(axis, b, side="right")))
            for axis, a, b in zip((self.x, self.y, self.z), low, high, strict=True)
        ]
        return ends[0], ends[1], ends[2]

    def within(self, box: Box) -> "Grid":
        """The part of the grid inside a box."""
        return Grid(self.x[box[0]], self.y[box[1]], self.z[box[2]])

    def offsets(self, origin: Float[np.ndarray, "3"]) -> Offsets:
        """x, y and z distance from a point, in mm, each broadcastable to (x, y, z)."""
        x, y, z = (a - np.float32(o) for a, o in zip((self.x, self.y, self.z), origin, strict=True))
        return x[:, None, None], y[None, :, None], z[None, None, :]


def coverage(depth_mm: Field, edge_mm: float) -> Field:
    """Share of a voxel inside a surface: ½ on it, 1 from half an edge width inwards."""
    return np.clip(depth_mm * np.float32(1 / edge_mm) + np.float32(0.5), 0, 1)


def unit_vectors(rng: np.random.Generator, count: int) -> Float[np.ndarray, "count 3"]:
    """Directions uniform on the sphere."""
    raw = rng.normal(size=(count, 3))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
