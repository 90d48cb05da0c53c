"""Lesions and organs: ellipsoids whose radius depends on the direction.

The boundary is R(u) = 1 + Σ height · exp(sharpness · (u·d − 1)) over unit vectors u, a sum of bumps
shaped like von Mises–Fisher densities around directions d. Broad bumps are lobes, narrow ones
spicules. R is tabulated once per case on an octahedron's faces, because bumps are costly and voxels
are many.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.synthesis.dice import Dice
from medfs.synthesis.space import Fields, Space, present

# Entries along a side of a hemisphere's table: some 5 degrees apart.
TABLE = 24
_HALF_ROOT = 0.5**0.5


@dataclass(frozen=True, slots=True, eq=False)
class Bumps:
    """What makes a boundary uneven; one set per case, shared by its parts.

    Attributes:
        direction: (case, bump, 3), unit vectors.
        sharpness: (case, bump).
        height: (case, bump), relative to the radius.
    """

    direction: Float[Tensor, "case bump 3"]
    sharpness: Float[Tensor, "case bump"]
    height: Float[Tensor, "case bump"]

    def radius(self, directions: Float[Tensor, "point 3"]) -> Float[Tensor, "case point"]:
        """R of each case, scaled such that its cube has mean one; at least ¼."""
        # κ (u·d − 1) as one product of four numbers.
        terms = torch.cat([self.direction, torch.full_like(self.height, -1)[..., None]], dim=2)
        ones = torch.ones_like(directions[:, :1])
        both = torch.cat([directions, ones], dim=1)
        exponent = torch.matmul(terms * self.sharpness[..., None], both.T)
        raised = torch.bmm(self.height[:, None], exponent.exp_())[:, 0]
        relative = raised.add_(1).clamp_min_(0.25)
        return relative / relative.pow(3).mean(dim=1, keepdim=True) ** (1 / 3)


def draw_bumps(
    irregularity: Float[Tensor, "case"],
    asymmetry: Float[Tensor, "case"],
    dice: Dice,
    spicules: int = 14,
    sharpness: tuple[float, float] = (12.0, 50.0),
) -> Bumps:
    """Bumps for an irregularity and an asymmetry of 0 … 1.

    Six lobes and `spicules` narrow bumps grow with the irregularity. One bump, wider than spicules
    and up to twice as long as the radius, draws a side of an asymmetric body out like a tail.
    """
    n = len(irregularity)
    t = irregularity[:, None]
    lobes = dice.normal(n, 6) * (0.03 + 0.16 * t)
    narrow = dice.uniform(0.2, 1, n, spicules) * 0.8 * t
    tail = 1.7 * asymmetry[:, None]
    widths = (dice.uniform(3, 8, n, 6), dice.uniform(*sharpness, n, spicules))
    return Bumps(
        dice.directions(n, 7 + spicules),
        torch.cat([torch.full_like(tail, 7.0), *widths], dim=1),
        torch.cat([tail, lobes, narrow], dim=1),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Blobs:
    """Bodies of each case.

    Attributes:
        centre: (case, part, 3), mm.
        frame: (case, part, 3, 3), turns and stretches an offset in mm into the body's own frame.
        radius: (case, part), mm; zero where a case has fewer parts.
        bumps: their boundary; None for smooth ellipsoids.
    """

    centre: Float[Tensor, "case part 3"]
    frame: Float[Tensor, "case part 3 3"]
    radius: Float[Tensor, "case part"]
    bumps: Bumps | None = None


def frames(
    rotation: Float[Tensor, "case part 3 3"], stretch: Float[Tensor, "case part 3"]
) -> Float[Tensor, "case part 3 3"]:
    """Rotated axes divided by their lengths, whose product is made one."""
    axes = stretch / stretch.prod(dim=-1, keepdim=True) ** (1 / 3)
    return rotation / axes[..., None]


def depth(blobs: Blobs, space: Space) -> Fields:
    """How deep each voxel lies inside the deepest body, mm; negative outside.

    It is measured along the radius, in the body's frame. Cheapest where cases with many parts come
    first.
    """
    table = None if blobs.bumps is None else blobs.bumps.radius(_table(space.spacing.device))
    deepest = _part(blobs, 0, slice(None), table, space)
    for part in range(1, blobs.radius.shape[1]):
        rows = present(blobs.radius[:, part] > 0)
        if rows is not None:
            found = _part(blobs, part, rows, table, space)
            deepest[rows] = torch.maximum(deepest[rows], found)
    return deepest


def _part(
    blobs: Blobs, part: int, rows: Tensor | slice, table: Tensor | None, space: Space
) -> Float[Tensor, "some x y z"]:
    frame, centre = blobs.frame[rows, part], blobs.centre[rows, part]
    radius = blobs.radius[rows, part][:, None, None, None]
    # Half sum and half difference of the first two axes are coordinates of an octahedron's faces.
    first, second, third = frame.unbind(1)
    faces = torch.stack([first + second, first - second, third], dim=1)
    shift = -torch.einsum("nij,nj->ni", faces, centre)
    inside = space.only(rows)
    a, b, z = (inside.along(faces[:, i], shift[:, i]) for i in range(3))
    # x² + y² = (a² + b²) / 2
    distance = (a * a).addcmul_(b, b).addcmul_(z, z, value=2).sqrt_()
    if table is None:
        return distance.mul_(-_HALF_ROOT).add_(radius)
    return _look_up(table[rows], a, b, z).mul_(radius).sub_(distance, alpha=_HALF_ROOT)


def _look_up(table: Float[Tensor, "case entry"], a: Fields, b: Fields, z: Fields) -> Fields:
    """R in the direction with z and a, b = x ± y, all of which are overwritten."""
    # A little more than the norm, lest a / norm reaches one.
    norm = torch.maximum(a.abs(), b.abs()).add_(z.abs()).add_(1e-6)
    scale = norm.reciprocal_().mul_(TABLE / 2 * (1 - 1e-5))
    row = a.mul_(scale).add_(TABLE / 2).floor_()
    entry = b.mul_(scale).add_(TABLE / 2).add_(row, alpha=TABLE)
    # Downward directions are in the second half of the table. Truncation drops what b leaves.
    entry = entry.add_(z.lt_(0), alpha=TABLE**2)
    return torch.gather(table, 1, entry.long().flatten(1)).view(a.shape)


def _table(device: torch.device) -> Float[Tensor, "entry 3"]:
    """Directions of the entries: the faces of an octahedron seen from above, then from below."""
    line = (torch.arange(TABLE, device=device) + 0.5) * (2 / TABLE) - 1
    a, b = torch.meshgrid(line, line, indexing="ij")
    z = 1 - torch.maximum(a.abs(), b.abs())
    halves = [torch.stack([(a + b) / 2, (a - b) / 2, s * z], dim=-1) for s in (1, -1)]
    return torch.nn.functional.normalize(torch.stack(halves).flatten(0, 2), dim=-1)


def fit_volume(
    deep: Fields, volume: Float[Tensor, "case"], space: Space, steps: int = 3
) -> tuple[Fields, Fields]:
    """Depth moved so that the region has a given volume, and the share of each voxel in it.

    Overlapping parts, bumps and the grid change a volume; afterwards it tells of nothing but what
    it was asked to be. Newton's method on the shift; its derivative is the area of the surface.

    Args:
        deep: depth in mm; overwritten.
        volume: in mm³.
    """
    edge = space.voxel[:, None, None, None]
    wanted = volume / space.spacing.prod(dim=1)
    for step in range(steps + 1):
        share = (deep / edge).add_(0.5).clamp_(0, 1)
        if step == steps:
            break
        flat = share.flatten(1)
        filled, squares = flat.sum(dim=1), flat.square().sum(dim=1)
        # Across the edge the share runs evenly from 0 to 1, so share · (1 − share) has mean ⅙.
        surface = 6 * (filled - squares) / space.voxel
        shift = (wanted - filled) / surface.clamp_min(1)
        limit = 1.5 * space.voxel
        deep += torch.minimum(torch.maximum(shift, -limit), limit)[:, None, None, None]
    return deep, share
