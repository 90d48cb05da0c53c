"""What surrounds a nodule: vessels and, in some crops, the chest wall."""

import numpy as np
from jaxtyping import Float

from medfs.synthesis.grid import Field, Grid, coverage, unit_vectors

STEP_MM = 4.0
EDGE_MM = 0.6


def paint_vessels(grid: Grid, rng: np.random.Generator) -> Field:
    """Share of every voxel that lies in one of several winding, tapering tubes."""
    painted = np.zeros(grid.shape, np.float32)
    half = np.array([grid.x[-1], grid.y[-1], grid.z[-1]])
    wide = rng.gamma(3, 0.35, int(rng.integers(3, 8))) + 0.4
    thin = rng.uniform(0.25, 0.6, int(rng.integers(5, 14)))
    for calibre in (*wide, *thin):
        # Entering near the rim and heading roughly inwards, as from the hilum.
        start = unit_vectors(rng, 1)[0] * half * rng.uniform(0.8, 1.2)
        aim = rng.normal(0, 0.5, 3) * half - start
        _paint_tube(painted, grid, start, aim, float(calibre), rng)
    return painted


def paint_wall(grid: Grid, clearance_mm: float, rng: np.random.Generator) -> Field:
    """Share of every voxel that lies in the chest wall, which a third of the crops show.

    It is what lies outside a large sphere, at least `clearance_mm` from the middle of the crop.
    """
    if rng.random() > 1 / 3:
        return np.zeros(grid.shape, np.float32)
    radius = rng.uniform(50, 90)
    # The wall is lateral, dorsal or ventral in most of the lung: mostly in-plane.
    direction = unit_vectors(rng, 1)[0] * np.array([1, 1, 0.4])
    direction /= np.linalg.norm(direction)
    clearance = clearance_mm + rng.uniform(1, 8)
    x, y, z = grid.offsets(direction * (clearance - radius))
    return coverage(np.sqrt(x * x + y * y + z * z) - np.float32(radius), EDGE_MM)


def _paint_tube(
    painted: Field,
    grid: Grid,
    point: Float[np.ndarray, "3"],
    aim: Float[np.ndarray, "3"],
    calibre: float,
    rng: np.random.Generator,
) -> None:
    """Add a chain of capsules of falling radius, turning a little at every step."""
    heading = aim / np.linalg.norm(aim)
    for _ in range(int(rng.integers(6, 14))):
        heading = heading + rng.normal(0, 0.22, 3)
        heading /= np.linalg.norm(heading)
        end = point + STEP_MM * heading
        _paint_capsule(painted, grid, point, heading, calibre)
        point, calibre = end, calibre * float(rng.uniform(0.88, 1))


def _paint_capsule(
    painted: Field,
    grid: Grid,
    start: Float[np.ndarray, "3"],
    heading: Float[np.ndarray, "3"],
    radius: float,
) -> None:
    end, margin = start + STEP_MM * heading, radius + EDGE_MM
    box = grid.box(np.minimum(start, end) - margin, np.maximum(start, end) + margin)
    x, y, z = grid.within(box).offsets(start)
    hx, hy, hz = (np.float32(h) for h in heading)
    along = np.clip(x * hx + y * hy + z * hz, 0, STEP_MM)
    away = np.sqrt((x - along * hx) ** 2 + (y - along * hy) ** 2 + (z - along * hz) ** 2)
    np.maximum(painted[box], coverage(np.float32(radius) - away, EDGE_MM), out=painted[box])
