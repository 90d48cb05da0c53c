"""What stays when a region is bent: components, tunnels, cavities."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.grids import runs, total


def euler_number(roi: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch"]:
    """Components − tunnels + cavities under 6-connectivity: vertices − edges + faces − cells.

    Voxels are the vertices; edges, faces and cells are runs of 2, 2 × 2 and 2 × 2 × 2 voxels that
    lie inside (Kong & Rosenfeld 1989).
    """
    number = torch.zeros_like(roi[:, 0, 0, 0, 0])
    for box in itertools.product((1, 2), (1, 2), (1, 2)):
        sign = 1.0 if sum(box) % 2 else -1.0
        number = number + sign * total(runs(roi, box))
    return number
