"""What a scanner makes of tissue, and what a preset makes of the scan."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.synthesis.dice import Dice
from medfs.synthesis.modalities import Modality
from medfs.synthesis.space import (
    Fields,
    Matrices,
    Space,
    gaussian,
    separable,
    slices,
)
from medfs.synthesis.surroundings import smooth_noise

# The presets quote lengths for a field of this side.
REFERENCE_MM = 48.0
# Percentiles and spreads are taken over at most this many evenly spaced voxels of a case.
_SAMPLE = 4096


def acquire(
    tissue: Fields, white: Fields, modality: Modality, field_mm: float, dice: Dice, space: Space
) -> Fields:
    """Sensitivity, noise, kernel and slices; each case has a scanner of its own.

    The noise goes through the same kernel as the tissue, hence it is correlated.

    Args:
        tissue: intensities before the scanner; overwritten.
        white: standard normal voxels, which may have served elsewhere: they are turned upside down.
        modality: ranges of everything that a scanner does.
        field_mm: side of the field of view.
        dice: the settings.
        space: the grid.
    """
    n = len(space)
    if modality.bias:
        field = smooth_noise(dice, space, coarse=3)
        size = dice.uniform(0, modality.bias, n)[:, None, None, None] * 0.5
        tissue.addcmul_(tissue, field.mul_(size).clamp_(-0.6, 0.6))
    scale = field_mm / REFERENCE_MM
    blur = dice.uniform(*modality.blur, n) * scale
    thickness = dice.uniform(*modality.thickness, n) * scale
    matrices = _kernel(blur, thickness, dice.uniform(0, 1, n), space)
    kept = torch.ones(n, device=dice.device)
    for matrix in matrices:
        kept = kept * matrix.square().sum(dim=2).mean(dim=1).sqrt()
    level = dice.uniform(*modality.noise, n) / kept
    noisy = tissue.addcmul_(white.flip(1, 3), level[:, None, None, None])
    return separable(noisy, matrices)


def _kernel(
    blur: Float[Tensor, "case"],
    thickness: Float[Tensor, "case"],
    phase: Float[Tensor, "case"],
    space: Space,
) -> Matrices:
    x, y, z = (gaussian(n, blur / space.spacing[:, a]) for a, n in enumerate(space.shape))
    return x, y, slices(space.shape[2], thickness / space.spacing[:, 2], phase) @ z


def normalise(scan: Fields, modality: Modality) -> Fields:
    """Intensities as the preset of that kind of volume gives them; `scan` is overwritten.

    Window: −1 … 1. Percentiles: 0 … 1. z-score within the volume: clipped at ±5.
    """
    low, high = modality.low, modality.high
    if modality.kind == "window":
        return scan.sub_((low + high) / 2).div_((high - low) / 2).clamp_(-1, 1)
    flat = scan.flatten(1)
    if modality.kind == "zscore":
        spread, mean = torch.std_mean(flat, dim=1)
        return _scaled(scan, mean, spread).clamp_(low, high)
    some = flat[:, :: max(1, flat.shape[1] // _SAMPLE)]
    rank = max(1, round(some.shape[1] * (1 - high / 100)))
    top = some.topk(rank, dim=1).values[:, -1]
    bottom = flat.amin(dim=1)
    return _scaled(scan, bottom, top - bottom).clamp_(0, 1)


def _scaled(scan: Fields, offset: Float[Tensor, "case"], scale: Float[Tensor, "case"]) -> Fields:
    scan.sub_(offset[:, None, None, None])
    return scan.div_(scale.clamp_min(1e-6)[:, None, None, None])


def pure_shape(share: Fields, roi: Fields, dice: Dice, space: Space) -> Fields:
    """The shape itself as a volume, 0 … 1: its mask in half of the cases, else blurred a little."""
    n = len(space)
    sigma = dice.uniform(0.3, 0.9, n)
    x, y, z = (gaussian(count, sigma) for count in space.shape)
    soft = separable(share, (x, y, z))
    soft = soft / soft.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    return torch.where(dice.integers(2, n).bool()[:, None, None, None], soft, roi)
