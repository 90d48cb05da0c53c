"""Statistics of the support that every class and patient contributes to alike."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.episodes import SupportSet
from medfs.core.theta import Standardizer

# In standard deviations of the support; AUROC hardly changes between 1 and 3.
LIMIT = 2.0


def balanced_weights(support: SupportSet) -> Float[Tensor, "case"]:
    """Weights that sum to one: each class alike, in it each patient, of a patient each case."""
    pairs = torch.stack([support.labels, support.patients], dim=1)
    _, which, cases = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
    share = 1.0 / cases[which].double()
    per_class = torch.zeros(support.n_way, dtype=torch.float64, device=share.device)
    per_class = per_class.index_add(0, support.labels, share)
    return share / (per_class[support.labels] * support.n_way)


def standardize(
    x: Float[Tensor, "case feature"], weights: Float[Tensor, "case"]
) -> tuple[Standardizer, Float[Tensor, "case feature"]]:
    """The support's own mean and standard deviation, and the features in those units.

    A feature that is constant in the support (up to rounding) has scale 1 and becomes zero there.
    """
    mean = weights @ x
    spread = (weights @ (x - mean) ** 2).sqrt()
    counted = torch.where(weights[:, None] > 0, x.abs(), torch.zeros_like(x))
    constant = spread <= 1e-6 * counted.amax(dim=0).clamp_min(1e-12)
    scale = torch.where(constant, torch.ones_like(spread), spread)
    standardizer = Standardizer(mean, scale, torch.tensor(LIMIT, dtype=x.dtype, device=x.device))
    return standardizer, torch.where(constant, torch.zeros_like(x), standardizer(x))
