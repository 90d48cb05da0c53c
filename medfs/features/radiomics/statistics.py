"""First-order statistics inside a mask: IBSI reference manual, sec. 3.3 (intensity-based)."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.grids import per_case, total


def mean_and_sd(
    image: Float[Tensor, "batch 1 x y z"], mask: Float[Tensor, "batch 1 x y z"]
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Mean (Q4LE) and standard deviation (root of 48GR); zeros for an empty mask."""
    count = total(mask).clamp_min(1)
    mean = total(image * mask) / count
    variance = total((image - per_case(mean)) ** 2 * mask) / count
    return mean, torch.sqrt(variance + 1e-12)


def moments(
    image: Float[Tensor, "batch 1 x y z"], mask: Float[Tensor, "batch 1 x y z"]
) -> Float[Tensor, "batch 4"]:
    """Mean (Q4LE), standard deviation (root of 48GR), skewness (KE2A), excess kurtosis (IPH6).

    An empty mask gives zeros; of a constant region skewness and kurtosis are zero.
    """
    count = total(mask).clamp_min(1)
    mean, sd = mean_and_sd(image, mask)
    centred = (image - per_case(mean)) * mask
    # Below this the region is constant up to rounding, and higher moments would be noise.
    flat = sd < 3e-5
    safe = torch.where(flat, torch.ones_like(sd), sd)
    squares = centred**2
    skewness = total(squares * centred) / count / safe**3
    kurtosis = total(squares**2) / count / safe**4 - 3
    zero = torch.zeros_like(sd)
    return torch.stack(
        [mean, sd, torch.where(flat, zero, skewness), torch.where(flat, zero, kurtosis)], dim=1
    )


def quantiles(
    image: Float[Tensor, "batch 1 x y z"],
    mask: Float[Tensor, "batch 1 x y z"],
    levels: tuple[float, ...],
) -> Float[Tensor, "batch level"]:
    """Exact quantiles (QG58, Y4HE, 8DWT …), linear between ranks; zeros for an empty mask."""
    values, inside = image.flatten(1), mask.flatten(1)
    far = torch.full_like(values, torch.finfo(values.dtype).max)
    ordered = torch.sort(torch.where(inside > 0, values, far), dim=1).values
    count = inside.sum(dim=1, keepdim=True)
    last = (count - 1).clamp_min(0)
    rank = last * torch.tensor([levels], dtype=values.dtype, device=values.device)
    below = rank.floor()
    low = torch.gather(ordered, 1, below.long())
    high = torch.gather(ordered, 1, torch.minimum(below + 1, last).long())
    result = low + (rank - below) * (high - low)
    return torch.where(count > 0, result, torch.zeros_like(result))
