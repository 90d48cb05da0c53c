"""The network that finds a region: image on a grid → probability of each point.

A U-Net of three levels. Its kernels are symmetric along every axis, hence a mirrored scan gets the
mirrored region by construction. There are no batch statistics, weights are standardised instead
(Qiao et al., arXiv 1903.10520); and every level is multiplied by the share of the grid that holds
scan, so that how a field is padded to the size of a grid cannot be seen.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

WIDTHS = (16, 32, 64)
# Sides of the grid must be multiples of it: two levels are halved.
SIDE = 4
_INPUTS = 5
_LARGEST = 5.0
# Distances from the centre are told in units of so many grid steps.
_REACH = 16.0

Grid = Float[Tensor, "case 1 x y z"]
Channels = Float[Tensor, "case _ x y z"]


class FinderNet(torch.nn.Module):
    """Logits of belonging to the finding at or near the centre of the grid."""

    def __init__(self, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.enter = _Layer(_INPUTS, fine)
        self.fine = _Layer(fine, fine)
        self.down_middle = _Layer(fine, middle)
        self.middle = _Layer(middle, middle)
        self.down_coarse = _Layer(middle, coarse)
        self.coarse = torch.nn.ModuleList([_Layer(coarse, coarse), _Layer(coarse, coarse)])
        self.up_middle = _Layer(coarse, middle, side=1)
        self.join_middle = _Layer(middle, middle)
        self.up_fine = _Layer(middle, fine, side=1)
        self.join_fine = _Layer(fine, fine)
        self.leave = torch.nn.Conv3d(fine, 1, 1)

    def forward(self, image: Grid, valid: Grid) -> Grid:
        """Logits; without meaning where `valid` is 0.

        Args:
            image: normalised by a preset; sides are multiples of `SIDE`.
            valid: 1 where the grid holds scan that may be looked at, else 0.
        """
        halved = functional.avg_pool3d(valid, 2)
        quartered = functional.avg_pool3d(halved, 2)
        fine = self.enter(look(image, valid), valid)
        fine = fine + self.fine(fine, valid)
        middle = self.down_middle(functional.max_pool3d(fine, 2), halved)
        middle = middle + self.middle(middle, halved)
        coarse = self.down_coarse(functional.max_pool3d(middle, 2), quartered)
        for layer in self.coarse:
            coarse = coarse + layer(coarse, quartered)
        middle = middle + _doubled(self.up_middle(coarse, quartered))
        middle = middle + self.join_middle(middle, halved)
        fine = fine + _doubled(self.up_fine(middle, halved)) * valid
        fine = fine + self.join_fine(fine, valid)
        return self.leave(fine)


def look(image: Grid, valid: Grid) -> Channels:
    """What the network sees: intensities, standardised intensities, and where a point lies.

    Distances from the centre come in grid steps and in halves of the valid field.
    """
    count = valid.sum(dim=(1, 2, 3, 4), keepdim=True).clamp_min(1)
    mean = (image * valid).sum(dim=(1, 2, 3, 4), keepdim=True) / count
    square = ((image - mean).square() * valid).sum(dim=(1, 2, 3, 4), keepdim=True) / count
    relative = (image - mean) * (square + 1e-4).rsqrt()
    squared, share = torch.zeros_like(image), torch.zeros_like(image)
    for axis in (2, 3, 4):
        n = image.shape[axis]
        away = (torch.arange(n, dtype=image.dtype, device=image.device) - (n - 1) / 2).abs()
        away = away.view([n if a == axis else 1 for a in range(5)])
        half = (away * valid).amax(dim=(1, 2, 3, 4), keepdim=True) + 0.5
        squared = squared + away.square()
        share = torch.maximum(share, away / half)
    steps = (squared.sqrt() / _REACH).clamp_max(2)
    seen = (image.clamp(-_LARGEST, _LARGEST), relative.clamp(-_LARGEST, _LARGEST))
    x = torch.cat([*seen, torch.ones_like(image), steps, share.clamp_max(1)], dim=1) * valid
    # With channels last the few channels of this network are convolved 1.5 times as fast.
    return x.to(memory_format=torch.channels_last_3d)


class _Layer(torch.nn.Module):
    """Convolution by a symmetric, standardised kernel; gain, shift, activation."""

    def __init__(self, n_in: int, n_out: int, side: int = 3) -> None:
        super().__init__()
        self.kernel = torch.nn.Parameter(torch.randn(n_out, n_in, side, side, side))
        self.gain = torch.nn.Parameter(torch.ones(n_out))
        self.shift = torch.nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Channels, valid: Grid) -> Channels:
        kernel = _standardised(_symmetric(self.kernel)) * self.gain[:, None, None, None, None]
        y = functional.conv3d(x, kernel, self.shift, padding=kernel.shape[-1] // 2)
        return functional.silu(y) * valid


def _symmetric(kernel: Tensor) -> Tensor:
    for axis in (2, 3, 4):
        kernel = kernel + kernel.flip(axis)
    return kernel


def _standardised(kernel: Tensor) -> Tensor:
    """Mean 0 and variance 1 / fan-in per output channel: activations keep their scale."""
    flat = kernel.flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    scale = (centred.square().sum(dim=1, keepdim=True) + 1e-6).rsqrt()
    # √2 makes up for what the activation takes.
    return (centred * scale * 2**0.5).view_as(kernel)


def _doubled(x: Channels) -> Float[Tensor, "case _ _ _ _"]:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
