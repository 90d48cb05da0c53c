"""What lies around the region: layered tissue, neighbouring organs, vessels, and a wall."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.synthesis import blobs, tubes
from medfs.synthesis.dice import Dice
from medfs.synthesis.label_maps import LabelMaps
from medfs.synthesis.modalities import Modality
from medfs.synthesis.space import Fields, Space, gaussian, separable, unit_noise

_COARSE, _LAYERS, _BODIES, _TUBES = 6, 3, 2, 3
# Organs of a label map differ by more than the layers of one organ.
_MAP_STEPS = 1.5


def smooth_noise(dice: Dice, space: Space, coarse: int = _COARSE) -> Fields:
    """A smooth random field of unit variance with about `coarse` bumps along each side."""
    sigma = dice.uniform(0.5, 0.9, len(space))
    x, y, z = (gaussian(n, sigma, coarse) for n in space.shape)
    white = dice.normal(len(space), coarse, coarse, coarse)
    return separable(white, unit_noise((x, y, z)))


def pattern(white: Fields, sigma_mm: Float[Tensor, "case"], space: Space) -> Fields:
    """White noise made as coarse as `sigma_mm`, of unit variance."""
    x, y, z = (gaussian(n, sigma_mm / space.spacing[:, a]) for a, n in enumerate(space.shape))
    return separable(white, unit_noise((x, y, z)))


def layered(modality: Modality, dice: Dice, space: Space, maps: LabelMaps | None = None) -> Fields:
    """Parenchyma with steps, as between lobules, fat and muscle.

    They are those of a real label map, if there are any, and of a smooth random field if not.
    """
    n = len(space)
    level = dice.uniform(*modality.parenchyma, n)
    if maps is not None:
        steps = maps.paint(n, space.shape, dice).mul_(_MAP_STEPS * modality.layers)
        return steps.add_(level[:, None, None, None])
    field = smooth_noise(dice, space)
    heights = dice.normal(n, _LAYERS) * modality.layers
    edges = dice.uniform(-1.2, 1.2, n, _LAYERS)
    painted = level[:, None, None, None].expand(n, *space.shape).clone()
    for layer in range(_LAYERS):
        edge, height = (v[:, layer, None, None, None] for v in (edges, heights))
        painted.addcmul_(field.sub(edge).mul_(5).clamp_(-0.5, 0.5), height)
    return painted


def bodies(modality: Modality, field_mm: float, dice: Dice, space: Space) -> Fields:
    """Intensity that neighbouring organs add: smooth ellipsoids with soft boundaries."""
    n, coarse = len(space), space.coarser()
    away = dice.uniform(0.3, 0.6, n, _BODIES, 1) * field_mm
    placed = blobs.Blobs(
        dice.directions(n, _BODIES) * away,
        blobs.frames(dice.rotations(n, _BODIES), torch.exp(0.3 * dice.normal(n, _BODIES, 3))),
        dice.uniform(0.06, 0.18, n, _BODIES) * field_mm,
    )
    share = coverage(blobs.depth(placed, coarse), coarse)
    height = dice.uniform(*modality.bodies, n)
    return space.refine(share.mul_(height[:, None, None, None]))


def vessels(field_mm: float, dice: Dice, space: Space, count: int = 1) -> Fields:
    """Share of each voxel in tapering vessels that cross the field."""
    crossing = tubes.join(*(_crossing(field_mm, dice, len(space)) for _ in range(count)))
    return coverage(tubes.depth(crossing, space), space)


def _crossing(field_mm: float, dice: Dice, n: int) -> tubes.Capsules:
    """A vessel that comes from beyond the field and heads roughly for its middle."""
    start = dice.directions(n) * dice.uniform(0.45, 0.6, n, 1) * field_mm
    aim = 0.2 * field_mm * dice.normal(n, 3) - start
    heading = torch.nn.functional.normalize(aim, dim=1)
    step = dice.uniform(0.22, 0.38, n) * field_mm
    points, headings = tubes.walk(start, heading, dice.uniform(0, 0.5, n), step, _TUBES, dice)
    taper = dice.uniform(0.75, 1, n, 1) ** torch.arange(_TUBES, device=dice.device)
    radius = dice.uniform(0.012, 0.045, n, 1) * field_mm * taper
    return tubes.Capsules(points[:, :-1], headings, step[:, None].expand(-1, _TUBES), radius)


def wall(distance_mm: Float[Tensor, "case"], dice: Dice, space: Space) -> Fields:
    """Share of each voxel beyond the boundary of the organ, a large sphere.

    Args:
        distance_mm: of the boundary from the middle of the field.
        dice: where it lies and how it bends.
        space: the grid.
    """
    n = len(space)
    radius = dice.uniform(1.2, 2.5, n) * space.extent
    # Mostly in-plane, as in most of the trunk.
    flat = torch.tensor([1.0, 1.0, 0.4], device=dice.device)
    direction = torch.nn.functional.normalize(dice.directions(n) * flat, dim=1)
    squared = space.squared(direction * (distance_mm - radius)[:, None])
    bent = (2 * radius)[:, None, None, None]
    return coverage(squared.div_(bent).sub_(bent / 4), space)


def coverage(deep: Fields, space: Space) -> Fields:
    """Share of a voxel inside a surface; `deep` is overwritten."""
    return deep.div_(space.voxel[:, None, None, None]).add_(0.5).clamp_(0, 1)
