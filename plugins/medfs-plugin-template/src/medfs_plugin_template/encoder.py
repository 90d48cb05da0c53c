"""A feature extractor: a batch of patches in, a row of numbers for each out."""

import torch

from medfs.core.patches import PatchBatch


class Brightness(torch.nn.Module):
    """Mean and spread of intensities within the region and around it.

    A class is made without arguments and has no weights; a function of that name would be given the
    user's weights (`--weights NAME=FILE`) and return such a module.
    """

    name = "brightness"
    # Changes whenever the same patch would give other numbers: it is part of every cache key.
    identity = "brightness-1"
    feature_names = ("mean_within", "sd_within", "mean_around", "sd_around")

    def forward(self, patches: PatchBatch) -> torch.Tensor:
        parts = [
            _mean_and_sd(patches.image, where) for where in (patches.roi > 0, patches.roi <= 0)
        ]
        return torch.cat(parts, dim=1)


def _mean_and_sd(image: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Zeros where there is no such voxel."""
    weight = where.to(image.dtype)
    count = weight.sum(dim=(1, 2, 3, 4)).clamp_min(1)
    mean = (image * weight).sum(dim=(1, 2, 3, 4)) / count
    gap = (image - mean[:, None, None, None, None]) * weight
    return torch.stack([mean, (gap.square().sum(dim=(1, 2, 3, 4)) / count).sqrt()], dim=1)
