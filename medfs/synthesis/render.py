"""From positions of factors to volumes: one scene, many cases at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.synthesis.acquisition import acquire, normalise, pure_shape
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import Positions, between
from medfs.synthesis.label_maps import LabelMaps
from medfs.synthesis.modalities import Modality
from medfs.synthesis.scenes import Scene
from medfs.synthesis.space import Fields, Space
from medfs.synthesis.structures import Region, draw_region
from medfs.synthesis.surroundings import bodies, layered, pattern, vessels, wall

# What cases of a task have in common besides its classes, each uniform on 0 … 1.
N_STYLES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """Volumes of some cases.

    Attributes:
        image: normalised intensities.
        roi: 0 or 1.
        spacing: (case, 3), mm along x, y, z.
    """

    image: Fields
    roi: Fields
    spacing: Float[Tensor, "case 3"]


def render(
    scene: Scene,
    positions: Positions,
    style: Float[Tensor, "case style"],
    shape: tuple[int, int, int],
    dice: Dice,
    maps: LabelMaps | None = None,
) -> Rendered:
    """Cases with the given factors; everything else is drawn.

    Args:
        scene: kind of task.
        positions: 0 … 1 of every factor.
        style: what cases of one task share.
        shape: voxels along x, y, z.
        dice: where they lie is where the volumes are made.
        maps: real anatomy for the surroundings.
    """
    n = len(style)
    # The field of view itself varies by a fifth, and with it the spacing.
    sides = torch.tensor(shape, device=dice.device)
    space = Space(shape, scene.field_mm * dice.uniform(0.9, 1.12, n, 1) / sides)
    region = draw_region(scene, positions, style[:, 0], dice, space)
    least = region.depth.amax(dim=(1, 2, 3), keepdim=True).clamp_max(0)
    roi = (region.depth >= least).float()
    if scene.modality is None:
        return Rendered(pure_shape(region.share, roi, dice, space), roi, space.spacing)
    white = dice.noise(n, *shape)
    base = layered(scene.modality, dice, space, maps)
    before = tissue(scene, scene.modality, positions, style, region, base, white, dice)
    scan = acquire(before, white, scene.modality, scene.field_mm, dice, space)
    return Rendered(normalise(scan, scene.modality), roi, space.spacing)


def tissue(
    scene: Scene,
    modality: Modality,
    positions: Positions,
    style: Float[Tensor, "case style"],
    region: Region,
    base: Fields,
    white: Fields,
    dice: Dice,
    n_vessels: int = 1,
) -> Fields:
    """Intensity of each voxel before the scanner.

    Args:
        scene: kind of task.
        modality: its volumes.
        positions: 0 … 1 of every factor.
        style: what cases of one task share.
        region: where the finding is.
        base: the tissue that fills the field.
        white: standard normal voxels, of which the patterns are made.
        dice: the surroundings.
        n_vessels: that cross the field.
    """
    space, field = region.space, scene.field_mm
    n = len(space)
    # Region and surroundings do not overlap: the same noise serves both.
    grain = pattern(white, dice.uniform(0.012, 0.03, n) * field, space)
    around = base + grain.mul_(dice.uniform(*modality.grain, n)[:, None, None, None])
    around.add_(bodies(modality, field, dice, space))
    tubes = vessels(field, dice, space, n_vessels)
    around.addcmul_(tubes, torch.full_like(style[:, 0], modality.tubes)[:, None, None, None])
    beyond = wall(_wall_distance(scene, positions, region, dice), dice, space)
    around.lerp_(torch.full_like(beyond[:1], modality.wall), beyond)
    found = base + _finding(scene, modality, positions, style, region, white)
    return around.lerp_(found, region.share)


def _wall_distance(
    scene: Scene, positions: Positions, region: Region, dice: Dice
) -> Float[Tensor, "case"]:
    """mm from the middle to the boundary of the organ, set by the site of a lesion."""
    if scene.structure == "lesion":
        return region.radius + between(positions["site"], 0.0, 0.36) * scene.field_mm
    return dice.uniform(0.4, 0.7, len(region.radius)) * scene.field_mm


def _finding(
    scene: Scene,
    modality: Modality,
    positions: Positions,
    style: Float[Tensor, "case style"],
    region: Region,
    white: Fields,
) -> Fields:
    """Intensity of the region relative to the parenchyma."""
    contrast = between(positions["contrast"], *modality.contrast)
    if modality.either_sign:
        # Darker findings have less room.
        contrast = torch.where(style[:, 1] < 0.5, contrast, -0.75 * contrast)
    scale = between(positions["texture_scale"], 0.012, 0.06) * scene.field_mm
    found = pattern(white, scale, region.space)
    amplitude = between(positions["texture_amplitude"], *modality.texture)
    found.mul_(amplitude[:, None, None, None])
    if modality.rim:
        # Most have a faint one unless it defines the class.
        height = between(positions["rim"], 0.0, modality.rim, power=2)[:, None, None, None]
        deepest = region.depth.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-3)
        # A step between shell and core, about a third of the way to the middle.
        core = (region.depth / deepest).sub_(0.2).mul_(4).clamp_(0, 1)
        found.addcmul_(core.sub_(0.35), height, value=-1)
    return found.add_(contrast[:, None, None, None])
