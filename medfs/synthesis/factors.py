"""The latent factors of a finding: what may define a class, and where a latent value lies.

A latent is a standard normal number, its position Φ(latent) lies in 0 … 1, and every scene maps
positions to physical values by monotone functions of bounded range. So a factor that defines a
class and one that merely varies cover the same, well visible range.
"""

import torch
from jaxtyping import Float
from torch import Tensor

ALL_FACTORS = (
    "size",  # volume of the region
    "elongation",  # longest axis over the others
    "irregularity",  # lobes and spicules of the boundary
    "count",  # separate parts
    "asymmetry",  # one side heavier than the other
    "texture_scale",  # coarseness of the pattern inside
    "texture_amplitude",  # strength of that pattern
    "contrast",  # difference from the tissue around
    "rim",  # bright shell, dark core
    "site",  # distance from the boundary of the organ
    "calibre",  # radius of a vessel
    "bulges",  # aneurysm on a vessel
    "tortuosity",  # how much a vessel winds
    "branches",  # side branches of a vessel
)
Positions = dict[str, Float[Tensor, "case"]]


def position(latent: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Φ(latent): uniform on 0 … 1 for a standard normal latent."""
    return torch.special.ndtr(latent)


def between(
    position: Float[Tensor, "*any"], low: float, high: float, power: float = 1.0
) -> Float[Tensor, "*any"]:
    """A physical value; a power above one leaves most values near `low`."""
    return low + (high - low) * position**power
