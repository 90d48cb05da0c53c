"""How fast intensities change in the region: derivatives at scales in mm, and neighbours."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.gaussian import ScaleSpace, magnitude
from medfs.features.radiomics.grids import AXES, adjacent, per_case, total
from medfs.features.radiomics.regions import Regions
from medfs.features.radiomics.statistics import mean_and_sd

NAMES = (
    "core_gradient_mean",
    "edge_gradient_mean",
    "edge_gradient_sd",
    "roi_log1_sd",
    "core_log1_mean",
    "core_log2_sd",
    "neighbour_difference",
    "moran",
)


def texture(image: Float[Tensor, "batch 1 x y z"], regions: Regions) -> Float[Tensor, "batch 8"]:
    """`NAMES`, in that order.

    Gradients (σ = 1 mm) per mm; `edge` is the surface. Laplacians of Gaussian (σ = 1 and 2 mm) are
    multiplied by σ² (Lindeberg 1998), so that their unit is that of the intensities.
    """
    unit = torch.ones_like(regions.volume)
    fine = ScaleSpace.of(image, regions.spacing, unit, beyond_zero=False)
    coarse = ScaleSpace.of(image, regions.spacing, 2 * unit, beyond_zero=False)
    steepness, bend = magnitude(fine.gradient()), fine.laplacian()
    return torch.stack(
        [
            mean_and_sd(steepness, regions.core)[0],
            *mean_and_sd(steepness, regions.surface),
            mean_and_sd(bend, regions.roi)[1],
            mean_and_sd(bend, regions.core)[0],
            mean_and_sd(4 * coarse.laplacian(), regions.core)[1],
            *neighbour_statistics(image, regions.roi),
        ],
        dim=1,
    )


def neighbour_statistics(
    image: Float[Tensor, "batch 1 x y z"], roi: Float[Tensor, "batch 1 x y z"]
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Mean absolute difference of face neighbours, and Moran's I over them (as IBSI N365).

    IBSI weights all pairs by inverse distance; here face neighbours have weight 1, others 0. Of a
    constant region, or one without pairs, both are zero.
    """
    mean, sd = mean_and_sd(image, roi)
    centred = image - per_case(mean)
    pairs, differences, products = (torch.zeros_like(mean) for _ in range(3))
    for axis in AXES:
        before, after = adjacent(centred, axis)
        both = torch.mul(*adjacent(roi, axis))
        pairs = pairs + total(both)
        differences = differences + total((after - before).abs() * both)
        products = products + total(before * after * both)
    pairs = pairs.clamp_min(1)
    # The floor (a thousandth of the intensity unit) keeps rounding of a constant image at zero.
    return differences / pairs, products / pairs / (sd**2 + 1e-6)
