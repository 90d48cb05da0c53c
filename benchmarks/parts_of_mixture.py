"""The mapper `mixture` with one part taken out, for `mapper_parts.py`."""

import torch
from torch import Tensor

from medfs.features.radiomics import Radiomics
from medfs.mappers.evidence import Evidence, Seen
from medfs.mappers.mixture import Mixture

# As the mappers that take their statistics from the support alone: wider lets chance agreements of
# two cases drown all other features.
_SUPPORT_LIMIT = 2.0
# What is left of the usual spread keeps a feature that is constant on the support from a division
# by zero.
_HARDLY_A_CASE = 1e-3
# The first features of the radiomics describe intensities and their patterns, these the outline.
_FIRST_OF_SHAPE = "log_volume"


class OwnStatistics(Mixture):
    """Features in units of the support's own spread, whatever training has seen."""

    def __init__(self, n_features: int, experts: int = 24, width: int = 16) -> None:
        super().__init__(n_features, experts, width)
        self.limit.fill_(_SUPPORT_LIMIT)

    def _cases(self, log_cases: Tensor) -> Tensor:
        return torch.full_like(log_cases, _HARDLY_A_CASE)


class EqualOdds(Mixture):
    """All experts count alike, whatever the support says of them."""

    def _odds(self, seen: Seen, told: Evidence) -> Tensor:  # noqa: ARG002
        return torch.full_like(told.marginal, 1 / len(told.marginal))


class NoGains(Mixture):
    """No expert prefers any feature in advance; what the support itself shows still counts."""

    def __init__(self, n_features: int, experts: int = 24, width: int = 16) -> None:
        super().__init__(n_features, experts, width)
        self.log_gain.requires_grad_(False).zero_()


class _SomeFeatures(Mixture):
    kept: slice

    def _metrics(self, seen: Seen) -> Tensor:
        mask = torch.zeros(self.n_features, dtype=self.log_gain.dtype)
        mask[self.kept] = 1
        metrics = super()._metrics(seen) * mask
        return metrics / metrics.mean(dim=1, keepdim=True)


class IntensityAlone(_SomeFeatures):
    """Sees brightness, contrast and texture, not the outline."""

    kept = slice(0, Radiomics.feature_names.index(_FIRST_OF_SHAPE))


class ShapeAlone(_SomeFeatures):
    """Sees size and outline, not what is inside."""

    kept = slice(Radiomics.feature_names.index(_FIRST_OF_SHAPE), None)
