"""First-order statistics inside a mask, as in IBSI (Zwanenburg et al. 2020), section 3.3."""

import torch
from jaxtyping import Float
from torch import Tensor

MOMENTS = ("mean", "sd", "skewness", "kurtosis")
QUANTILES = {
    "min": 0.0,
    "p10": 0.1,
    "p25": 0.25,
    "median": 0.5,
    "p75": 0.75,
    "p90": 0.9,
    "max": 1.0,
}


def moments(
    values: Float[Tensor, "batch voxel"], mask: Float[Tensor, "batch voxel"]
) -> Float[Tensor, "batch 4"]:
    """Mean, standard deviation, skewness, excess kurtosis (IBSI Q4LE, 48G6, KE2A, IPH6).

    An empty mask gives zeros; of a constant region skewness and kurtosis are zero.
    """
    count = mask.sum(dim=1, keepdim=True).clamp_min(1)
    mean = (values * mask).sum(dim=1, keepdim=True) / count
    centred = (values - mean) * mask
    squared = centred * centred
    variance = squared.sum(dim=1, keepdim=True) / count
    # Below this the region is constant up to rounding, and higher moments would be noise.
    flat = variance < 1e-9
    safe = torch.where(flat, torch.ones_like(variance), variance)
    skewness = (squared * centred).sum(dim=1, keepdim=True) / count / safe**1.5
    kurtosis = (squared * squared).sum(dim=1, keepdim=True) / count / safe**2 - 3
    zero = torch.zeros_like(variance)
    return torch.cat(
        [
            mean,
            torch.sqrt(variance + 1e-12),
            torch.where(flat, zero, skewness),
            torch.where(flat, zero, kurtosis),
        ],
        dim=1,
    )


def mean_sd(
    values: Float[Tensor, "batch voxel"], mask: Float[Tensor, "batch voxel"]
) -> Float[Tensor, "batch 2"]:
    """The first two of `moments`."""
    count = mask.sum(dim=1, keepdim=True).clamp_min(1)
    mean = (values * mask).sum(dim=1, keepdim=True) / count
    centred = (values - mean) * mask
    variance = (centred * centred).sum(dim=1, keepdim=True) / count
    return torch.cat([mean, torch.sqrt(variance + 1e-12)], dim=1)


def quantiles(
    values: Float[Tensor, "batch voxel"], mask: Float[Tensor, "batch voxel"], levels: list[float]
) -> Float[Tensor, "batch level"]:
    """Exact quantiles, interpolated linearly between ranks; zeros for an empty mask."""
    far = torch.full_like(values, torch.inf)
    ordered = torch.sort(torch.where(mask > 0, values, far), dim=1).values
    count = mask.sum(dim=1, keepdim=True)
    rank = (count - 1).clamp_min(0) * torch.tensor([levels], dtype=values.dtype, device=mask.device)
    below = rank.floor()
    above = torch.minimum(below + 1, (count - 1).clamp_min(0))
    low = torch.gather(ordered, 1, below.long())
    high = torch.gather(ordered, 1, above.long())
    result = low + (rank - below) * (high - low)
    return torch.where(count > 0, result, torch.zeros_like(result))
