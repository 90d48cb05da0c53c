"""How bright the region, its core and its surroundings are, in the patch's intensity unit."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.regions import Regions
from medfs.features.radiomics.statistics import mean_and_sd, moments, quantiles

NAMES = (
    "roi_mean",
    "roi_log_sd",
    "roi_skewness",
    "roi_kurtosis",
    "roi_p10",
    "roi_median",
    "roi_p90",
    "roi_max",
    "core_mean",
    "core_log_sd",
    "shell_mean",
    "shell_log_sd",
    "contrast",
)
_LEVELS = (0.1, 0.5, 0.9, 1.0)


def first_order(
    image: Float[Tensor, "batch 1 x y z"], regions: Regions
) -> Float[Tensor, "batch 13"]:
    """`NAMES`, in that order.

    The core keeps clear of the border, where a voxel is part region and part surroundings.
    `contrast` is the mean of the region minus that of the shell.
    """
    inside = moments(image, regions.roi)
    core, core_sd = mean_and_sd(image, regions.core)
    shell, shell_sd = mean_and_sd(image, regions.shell)
    return torch.cat(
        [
            inside[:, :1],
            log_spread(inside[:, 1:2]),
            inside[:, 2:],
            quantiles(image, regions.roi, _LEVELS),
            torch.stack(
                [core, log_spread(core_sd), shell, log_spread(shell_sd), inside[:, 0] - shell],
                dim=1,
            ),
        ],
        dim=1,
    )


def log_spread(sd: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Logarithm of a spread, with a floor at a hundredth of the intensity unit (10 HU in CT)."""
    return torch.log(sd + 0.01)
