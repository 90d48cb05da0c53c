"""The region of a case: a lesion or several, an organ of two lobes, or a vessel.

Whatever the structure, its volume depends on the size of the scene (for a vessel: on calibre and
length) and on nothing else, so that no other factor can be read off the volume.
"""

from dataclasses import dataclass
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.synthesis import blobs, tubes
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import Positions, between
from medfs.synthesis.scenes import Scene
from medfs.synthesis.space import Fields, Space
from medfs.synthesis.vessels import draw_vessel

MOST_PARTS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A structure on the grid.

    Attributes:
        depth: (case, x, y, z), mm below its surface; negative outside.
        share: (case, x, y, z), how much of each voxel it fills.
        radius: (case,), of the sphere of its volume, or of the vessel; mm.
        space: the grid.
    """

    depth: Fields
    share: Fields
    radius: Float[Tensor, "case"]
    space: Space


def draw_region(
    scene: Scene, positions: Positions, pairing: Float[Tensor, "case"], dice: Dice, space: Space
) -> Region:
    """The structure of a scene.

    Args:
        scene: says which structure.
        positions: of every factor.
        pairing: 0 … 1, how far apart the lobes of an organ lie.
        dice: all that varies besides.
        space: the grid.
    """
    if scene.structure == "vessel":
        calibre = between(positions["calibre"], *scene.size) * scene.field_mm
        tree, volume = draw_vessel(calibre, positions, scene.field_mm, dice)
        return Region(*blobs.fit_volume(tubes.depth(tree, space), volume, space), calibre, space)
    radius = between(positions["size"], *scene.size) * scene.field_mm
    if scene.structure == "lesion":
        bodies = _lesions(radius, positions, dice)
    else:
        bodies = _organ(radius, positions, pairing, dice)
    volume = 4 / 3 * pi * radius**3
    return Region(*blobs.fit_volume(blobs.depth(bodies, space), volume, space), radius, space)


def _lesions(radius: Float[Tensor, "case"], positions: Positions, dice: Dice) -> blobs.Blobs:
    """One to six bodies of equal size; several lie around the middle, apart from each other."""
    n = len(radius)
    # Most cases have one unless the count defines the class.
    count = 1 + (MOST_PARTS * 0.999 * positions["count"] ** 5).floor()
    each = radius / count ** (1 / 3)
    # Corners of an octahedron, turned at random, in random order: never close to each other.
    axes = dice.rotations(n)
    corners = torch.cat([axes, -axes], dim=1)
    order = dice.uniform(0, 1, n, MOST_PARTS).argsort(dim=1)
    corners = torch.gather(corners, 1, order[..., None].expand(-1, -1, 3))
    away = (radius * 1.3 * (count > 1))[:, None] * dice.uniform(0.9, 1.1, n, MOST_PARTS)
    middle = (dice.uniform(-0.4, 0.4, n, 3) * radius[:, None])[:, None]
    there = torch.arange(MOST_PARTS, device=radius.device) < count[:, None]
    stretch = torch.exp(0.08 * dice.normal(n, MOST_PARTS, 3))
    stretch[..., 0] *= between(positions["elongation"], 1.0, 2.6)[:, None]
    return blobs.Blobs(
        middle + away[..., None] * corners,
        blobs.frames(dice.rotations(n, MOST_PARTS), stretch),
        each[:, None] * there,
        blobs.draw_bumps(positions["irregularity"], positions["asymmetry"], dice),
    )


def _organ(
    radius: Float[Tensor, "case"],
    positions: Positions,
    pairing: Float[Tensor, "case"],
    dice: Dice,
) -> blobs.Blobs:
    """Two lobes, mirror images but for their size; asymmetry is what one has more than the other.

    The lobes of a task overlap more or less, from one body to a pair.
    """
    n = len(radius)
    heavier = (dice.integers(2, n) * 2 - 1) * between(positions["asymmetry"], 0.0, 0.36)
    shares = torch.stack([0.5 + heavier, 0.5 - heavier], dim=1)
    apart = radius * (0.45 + 0.4 * pairing + dice.uniform(-0.06, 0.06, n))
    right = torch.tensor([1.0, 0, 0], device=radius.device)
    centre = torch.stack([apart, -apart], dim=1)[..., None] * right
    middle = dice.uniform(-0.12, 0.12, n, 1, 3) * radius[:, None, None]
    tilt = _tilted(dice, n)
    stretch = torch.exp(0.06 * dice.normal(n, 1, 3))
    stretch[..., 2] *= between(positions["elongation"], 0.9, 2.2)[:, None]
    left = blobs.frames(tilt[:, None], stretch)
    mirror = torch.tensor([-1.0, 1, 1], device=radius.device)
    frame = torch.cat([left, left * mirror], dim=1)
    even = torch.zeros_like(radius)
    bumps = blobs.draw_bumps(positions["irregularity"], even, dice)
    each = radius[:, None] * shares ** (1 / 3)
    return blobs.Blobs(centre + middle, frame, each, bumps)


def _tilted(dice: Dice, n: int) -> Float[Tensor, "case 3 3"]:
    """Rotations by some ten degrees."""
    # The rotation nearest to the identity plus a little noise.
    noisy = torch.eye(3, device=dice.device) + 0.15 * dice.normal(n, 3, 3)
    first = torch.nn.functional.normalize(noisy[:, 0], dim=1)
    third = torch.nn.functional.normalize(torch.linalg.cross(first, noisy[:, 1], dim=1), dim=1)
    return torch.stack([first, torch.linalg.cross(third, first, dim=1), third], dim=1)
