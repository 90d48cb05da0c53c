"""Radiomics of the region and a shell around it, in torch: one graph, any batch, any device.

First-order statistics and shape follow the definitions of IBSI (Zwanenburg et al., Radiology 2020).
Intensities are those of the patch (normalised by its preset), lengths are in mm.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.patches import PatchBatch
from medfs.features.radiomics import shape as shape_module
from medfs.features.radiomics.grids import gradient_magnitude, laplacian, shell, smooth
from medfs.features.radiomics.statistics import MOMENTS, mean_sd, moments, quantiles

_ROI_QUANTILES = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
_SHELL_QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9}
_LOG_SIGMAS = (1.0, 2.0)


class Radiomics(torch.nn.Module):
    """The feature extractor that needs no training."""

    name = "radiomics"
    identity = "radiomics-1"
    feature_names = (
        *(f"roi_{n}" for n in (*MOMENTS, *_ROI_QUANTILES)),
        *(f"shell_{n}" for n in (*MOMENTS, *_SHELL_QUANTILES)),
        "contrast",
        *(f"roi_gradient_{n}" for n in MOMENTS[:2]),
        *(f"edge_gradient_{n}" for n in MOMENTS[:2]),
        *(f"roi_log{s:g}_{n}" for s in _LOG_SIGMAS for n in MOMENTS[:2]),
        *shape_module.NAMES,
    )

    def forward(self, patches: PatchBatch) -> Float[Tensor, "batch feature"]:
        return radiomics(patches.image, patches.roi, patches.spacing)


def radiomics(
    image: Float[Tensor, "batch 1 x y z"],
    roi: Float[Tensor, "batch 1 x y z"],
    spacing: Float[Tensor, "batch 3"],
) -> Float[Tensor, "batch feature"]:
    """`Radiomics.feature_names`, in that order; finite for every region that is not empty."""
    around = shell(roi)
    values, inside, outside = (t.flatten(1) for t in (image, roi, around))
    in_roi, in_shell = moments(values, inside), moments(values, outside)
    steps = gradient_magnitude(image)
    edge = shell(roi, 1)
    return torch.cat(
        [
            in_roi,
            quantiles(values, inside, list(_ROI_QUANTILES.values())),
            in_shell,
            quantiles(values, outside, list(_SHELL_QUANTILES.values())),
            in_roi[:, :1] - in_shell[:, :1],
            mean_sd(steps.flatten(1), inside),
            mean_sd(steps.flatten(1), edge.flatten(1)),
            *(mean_sd(laplacian(smooth(image, s)).flatten(1), inside) for s in _LOG_SIGMAS),
            shape_module.shape(roi, spacing),
        ],
        dim=1,
    )
