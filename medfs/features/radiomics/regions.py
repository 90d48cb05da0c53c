"""The parts of a patch that the features speak of."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics import grids

SHELL_MM = 3.0
# How far distances are exact, in grid steps; a patch of 48 holds few regions that are deeper.
_DEPTH_STEPS = 16
_SHELL_STEPS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Masks in {0, 1} on the grid of the patch.

    Attributes:
        roi: the region of interest.
        shell: outside, at most 3 mm (at least one grid step, at most six) away from the region.
        surface: voxels of the region with a face neighbour outside.
        depth: mm to the nearest voxel outside, zero outside; exact up to 16 grid steps.
        core: voxels deeper than half of the deepest one.
        count: voxels in the region, at least 1.
        volume: mm³, by counting voxels (IBSI YEKZ).
    """

    roi: Float[Tensor, "batch 1 x y z"]
    spacing: Float[Tensor, "batch 3"]
    shell: Float[Tensor, "batch 1 x y z"]
    surface: Float[Tensor, "batch 1 x y z"]
    depth: Float[Tensor, "batch 1 x y z"]
    deepest: Float[Tensor, "batch"]
    core: Float[Tensor, "batch 1 x y z"]
    count: Float[Tensor, "batch"]
    volume: Float[Tensor, "batch"]

    @classmethod
    def of(
        cls, roi: Float[Tensor, "batch 1 x y z"], spacing: Float[Tensor, "batch 3"]
    ) -> "Regions":
        depth = grids.distance(1 - roi, spacing, _DEPTH_STEPS, border=True) * roi
        deepest = depth.amax(dim=(1, 2, 3, 4))
        away = grids.distance(roi, spacing, _SHELL_STEPS, border=False)
        reach = spacing.amax(dim=1).clamp_min(SHELL_MM) * (1 + 1e-3)
        count = grids.total(roi).clamp_min(1)
        return cls(
            roi=roi,
            spacing=spacing,
            shell=(away <= grids.per_case(reach)).to(roi.dtype) * (1 - roi),
            surface=grids.surface(roi),
            depth=depth,
            deepest=deepest.clamp_min(1e-3),
            core=(depth > grids.per_case(deepest) / 2).to(roi.dtype),
            count=count,
            volume=count * spacing.prod(dim=1),
        )

    def radius(self) -> Float[Tensor, "batch"]:
        """Radius in mm of the ball with the same volume."""
        return (0.75 / torch.pi * self.volume) ** (1 / 3)
