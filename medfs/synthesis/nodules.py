"""A pulmonary nodule with a random boundary, from smooth to spiculated.

The boundary is a radius over directions, R(u): an ellipsoid times a sum of bumps exp(κ (u·d − 1))
around random directions d, the shape of a von Mises–Fisher density. Broad bumps are lobulations,
narrow ones spicules. Volume is set apart from shape, so that neither tells of the other.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float

from medfs.synthesis.grid import Field, Grid, coverage, unit_vectors

LOBULATION_SHARPNESS = (3.0, 8.0)
SPICULE_SHARPNESS = (50.0, 220.0)


@dataclass(frozen=True, slots=True)
class NoduleFactors:
    """Latent factors of one nodule.

    Attributes:
        diameter: of the sphere of the same volume, in mm.
        irregularity: 0 smooth … 1 heavily lobulated and spiculated.
        elongation: three semi-axes relative to their geometric mean.
        centre: in mm from the middle of the crop.
        density: HU of its tissue.
        edge: width of its margin in mm.
    """

    diameter: float
    irregularity: float
    elongation: tuple[float, float, float]
    centre: tuple[float, float, float]
    density: float
    edge: float


def draw_factors(irregularity: float, rng: np.random.Generator) -> NoduleFactors:
    """All factors but the irregularity, which alone depends on the class."""
    axes = np.exp(rng.normal(0, 0.12, 3))
    x, y, z = (float(a) for a in axes / np.prod(axes) ** (1 / 3))
    cx, cy, cz = (float(c) for c in rng.uniform(-3.5, 3.5, 3))
    solid = rng.random() < 0.8
    return NoduleFactors(
        diameter=float(np.clip(np.exp(rng.normal(np.log(11.5), 0.22)), 7, 18)),
        irregularity=irregularity,
        elongation=(x, y, z),
        centre=(cx, cy, cz),
        density=float(rng.normal(20, 25) if solid else rng.normal(-260, 80)),
        edge=float(rng.uniform(0.7, 1.8)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """R(u) / scale = 1 + Σ height · exp(sharpness · (u·direction − 1)), in the ellipsoid's frame.

    `frame` turns and stretches an offset in mm into that frame.
    """

    frame: Float[np.ndarray, "3 3"]
    direction: Float[np.ndarray, "bump 3"]
    sharpness: Float[np.ndarray, "bump"]
    height: Float[np.ndarray, "bump"]
    scale: float

    def radius(self, directions: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point"]:
        """R for unit vectors of the frame, in mm."""
        exponent = (directions @ self.direction.T - 1) * self.sharpness
        return self.scale * (1 + np.exp(exponent) @ self.height)


def draw_surface(factors: NoduleFactors, rng: np.random.Generator) -> Surface:
    """A random boundary with the volume and the irregularity of `factors`."""
    t = factors.irregularity
    n_lobes, n_spicules = 6, 3 + int(rng.poisson(32 * t))
    direction = unit_vectors(rng, n_lobes + n_spicules)
    lobes = rng.normal(0, 0.08 + 0.17 * t, n_lobes)
    spicules = rng.uniform(0.1, 1, n_spicules) * (0.05 + 1.2 * t)
    sharpness = np.r_[
        rng.uniform(*LOBULATION_SHARPNESS, n_lobes), rng.uniform(*SPICULE_SHARPNESS, n_spicules)
    ]
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    surface = Surface(
        frame=(turn / np.array(factors.elongation)).T.astype(np.float32),
        direction=direction,
        sharpness=sharpness.astype(np.float32),
        height=np.r_[lobes, spicules].astype(np.float32),
        scale=1.0,
    )
    relative = np.clip(surface.radius(_directions()), 0.3, None)
    # The elongation has determinant 1: the volume is that of R alone.
    return replace(surface, scale=factors.diameter / 2 / float(np.mean(relative**3)) ** (1 / 3))


def paint(factors: NoduleFactors, surface: Surface, grid: Grid) -> Field:
    """Share of every voxel of the grid that lies in the nodule, (x, y, z), float32."""
    painted = np.zeros(grid.shape, np.float32)
    centre = np.array(factors.centre)
    reach = surface.radius(_directions()).max() * max(factors.elongation) * 1.15 + factors.edge
    box = grid.box(centre - reach, centre + reach)
    part = grid.within(box)
    offsets = np.stack(np.broadcast_arrays(*part.offsets(centre)), axis=-1).reshape(-1, 3)
    framed = offsets @ surface.frame.T
    distance = np.sqrt(np.einsum("ij,ij->i", framed, framed))
    depth = np.full(len(distance), -reach, np.float32)
    # Bumps are costly: only where the surface may be.
    near = distance <= reach / min(factors.elongation)
    unit = framed[near] / np.maximum(distance[near], 1e-6)[:, None]
    depth[near] = surface.radius(unit) - distance[near]
    painted[box] = coverage(depth.reshape(part.shape), factors.edge)
    return painted


@cache
def _directions() -> Float[np.ndarray, "512 3"]:
    """512 directions spread evenly over the sphere (a Fibonacci lattice)."""
    i = np.arange(512) + 0.5
    polar, around = np.arccos(1 - 2 * i / 512), np.pi * (1 + 5**0.5) * i
    return np.stack(
        [np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], axis=1
    ).astype(np.float32)
