"""Regions and images to measure."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor


def random_region(seed: int, size: int = 24, sigma: float = 2.0) -> Float[Tensor, "1 1 x y z"]:
    """An irregular region clear of the border by four voxels."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal((size,) * 3), sigma)
    line = np.abs(np.arange(size) - (size - 1) / 2) / size
    radius = np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line**2)
    inside = field / field.std() > (radius - 0.15) * 15
    inside &= (line <= 0.5 - 4.5 / size)[:, None, None] & (line <= 0.5 - 4.5 / size)[:, None]
    inside &= line <= 0.5 - 4.5 / size
    inside[size // 2, size // 2, size // 2] = True
    return torch.from_numpy(inside.astype(np.float32))[None, None]


def random_image(seed: int, size: int = 24) -> Float[Tensor, "1 1 x y z"]:
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal((size,) * 3), 1.5)
    return torch.from_numpy((field / field.std() / 3).astype(np.float32))[None, None]


def ball(size: int, radius: float) -> Float[Tensor, "1 1 x y z"]:
    line = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    squares = line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None] ** 2
    return (squares <= radius**2).float()[None, None]


def spacings(*mm: float) -> Float[Tensor, "1 3"]:
    return torch.tensor([mm])
