"""How the surface bends: spicules, lobes, bulges.

The mask, smoothed with a Gaussian, is at a flat surface about one half, less where the surface is
convex, more where it is concave: an integral invariant of mean curvature (Manay et al., PAMI 2006)
that needs no mesh. The integral of the smoothed mask's gradient is the area at that scale (coarea
formula): what the smoothing wipes out no longer counts.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.gaussian import ScaleSpace, magnitude
from medfs.features.radiomics.grids import total
from medfs.features.radiomics.regions import Regions
from medfs.features.radiomics.shape import ball_area
from medfs.features.radiomics.statistics import mean_and_sd, moments

NAMES = (
    "sphericity_1mm",
    "sphericity_2mm",
    "bending_1mm",
    "bending_2mm",
    "bending_half_radius",
    "bulging_quarter_radius",
)


def surface(regions: Regions) -> Float[Tensor, "batch 6"]:
    """`NAMES`, in that order; no units.

    `sphericity` (IBSI QCFX, area at scale σ); `bending`: standard deviation of the smoothed mask
    over the surface, σ in mm or relative to the radius of the ball of the same volume; `bulging`:
    its skewness.
    """
    unit, radius = torch.ones_like(regions.volume), regions.radius()
    scales = [_scale(regions, s) for s in (unit, 2 * unit, radius / 2, radius / 4)]
    fine, coarse, half, quarter = scales
    return torch.stack(
        [
            sphericity(fine, regions),
            sphericity(coarse, regions),
            *(mean_and_sd(s.smoothed(), regions.surface)[1] for s in (fine, coarse, half)),
            moments(quarter.smoothed(), regions.surface)[:, 2],
        ],
        dim=1,
    )


def sphericity(scale: ScaleSpace, regions: Regions) -> Float[Tensor, "batch"]:
    """Area of the ball of the same volume over the region's area at a scale."""
    area = total(magnitude(scale.gradient())) * regions.spacing.prod(dim=1)
    ball = ball_area(regions.volume)
    # A region that fills the patch has little area inside it: bound the ratio.
    return ball / torch.maximum(area, ball / 4)


def _scale(regions: Regions, sigma: Float[Tensor, "batch"]) -> ScaleSpace:
    return ScaleSpace.of(regions.roi, regions.spacing, sigma, beyond_zero=True)
