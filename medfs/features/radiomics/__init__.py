"""Radiomics of the region and a shell around it, in torch: one graph, any batch, any device.

Definitions follow the IBSI reference manual (Zwanenburg et al., Radiology 2020; codes in brackets
in the modules) where it has one. Intensities are those of the patch (normalised by its preset),
lengths are in mm. What does not depend on the image (shape, surface, calibre) comes last.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.patches import PatchBatch
from medfs.features.radiomics import calibre, first_order, shape, surface, texture
from medfs.features.radiomics.regions import Regions

NAMES = first_order.NAMES + texture.NAMES + shape.NAMES + surface.NAMES + calibre.NAMES


class Radiomics(torch.nn.Module):
    """The encoder that needs no training and no weights."""

    name = "radiomics"
    identity = "radiomics-2"
    feature_names = NAMES

    def forward(self, patches: PatchBatch) -> Float[Tensor, "batch feature"]:
        return radiomics(patches.image, patches.roi, patches.spacing)


def radiomics(
    image: Float[Tensor, "batch 1 x y z"],
    roi: Float[Tensor, "batch 1 x y z"],
    spacing: Float[Tensor, "batch 3"],
) -> Float[Tensor, "batch feature"]:
    """`NAMES`, in that order; finite for every region, an empty one too.

    Args:
        image: intensities of the patch.
        roi: {0, 1}.
        spacing: mm along x, y, z.
    """
    regions = Regions.of(roi, spacing)
    return torch.cat(
        [
            first_order.first_order(image, regions),
            texture.texture(image, regions),
            shape.shape(regions),
            surface.surface(regions),
            calibre.calibre(regions),
        ],
        dim=1,
    )
