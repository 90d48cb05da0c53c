"""What a network sees: a fixed grid cut from a scan."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One case on the fixed grid of a preset.

    Attributes:
        image: (1, x, y, z), intensities normalised by the preset; beyond the scan its edge repeats.
        roi: (1, x, y, z), one inside the region of interest and zero outside.
        spacing: (3,), mm along x, y, z.
        preset: name of the preset that made it.
        notes: what was decided on the way (region found, grid coarsened, …).
        padding: share of the grid's points that lie beyond the scan, 0 to 1.
    """

    image: Float[Tensor, "1 x y z"]
    roi: Float[Tensor, "1 x y z"]
    spacing: Float[Tensor, "3"]
    preset: str
    notes: tuple[str, ...] = ()
    padding: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PatchBatch:
    """Patches of one preset stacked along a first axis: the input of every encoder."""

    image: Float[Tensor, "batch 1 x y z"]
    roi: Float[Tensor, "batch 1 x y z"]
    spacing: Float[Tensor, "batch 3"]

    @classmethod
    def of(cls, *patches: Patch) -> "PatchBatch":
        return cls(
            torch.stack([p.image for p in patches]),
            torch.stack([p.roi for p in patches]),
            torch.stack([p.spacing for p in patches]),
        )

    def to(self, device: torch.device) -> "PatchBatch":
        return PatchBatch(self.image.to(device), self.roi.to(device), self.spacing.to(device))
