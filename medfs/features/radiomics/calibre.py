"""How thick the region is, and how evenly: depths below the surface, and along the ridge.

The ridge holds the voxels no neighbour of which is deeper, a stand-in for the medial axis; depth
there is the local radius. A tube of one calibre with a bulge has a deepest point far above both
means.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.grids import local_maximum, total
from medfs.features.radiomics.regions import Regions
from medfs.features.radiomics.statistics import mean_and_sd

NAMES = ("log_deepest", "deepest_to_mean", "deepest_to_ridge", "core_share")


def calibre(regions: Regions) -> Float[Tensor, "batch 4"]:
    """`NAMES`, in that order.

    Logarithm of the radius of the largest inscribed ball (mm), of its ratio to the mean depth and
    to the mean depth of the ridge; share of the voxels deeper than half of that radius.
    """
    depth, deepest = regions.depth, regions.deepest
    ridge = (depth >= local_maximum(depth) - 1e-4).to(depth.dtype) * regions.roi
    return torch.stack(
        [
            deepest.log(),
            (deepest / mean_and_sd(depth, regions.roi)[0].clamp_min(1e-3)).log(),
            (deepest / mean_and_sd(depth, ridge)[0].clamp_min(1e-3)).log(),
            total(regions.core) / regions.count,
        ],
        dim=1,
    )
