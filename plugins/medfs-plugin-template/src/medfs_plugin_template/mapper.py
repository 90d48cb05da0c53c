"""A mapper: a support set in, a classifier out."""

import torch

from medfs.core.classifiers import Classifier
from medfs.core.episodes import SupportSet
from medfs.core.theta import LinearHead, Theta

_SMALLEST = 1e-6


class NearestMedian:
    """The class whose median is nearest, feature by feature in units of the support's own spread.

    Minus the squared distance to a median c is 2 c·x − |c|² up to a term that all classes share, so
    the rule is linear and needs no θ of its own kind: every exporter of medfs can write it.

    Args:
        n_features: length of a row; medfs gives it to every mapper.
    """

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features

    def __call__(self, support: SupportSet) -> Classifier:
        x = support.features.joined().double()
        medians = torch.stack([_median(x[support.labels == k]) for k in range(support.n_way)])
        # Of the classes' medians, so that a class of many cases counts no more than the others.
        middle = medians.mean(dim=0)
        spread = (x - medians[support.labels]).abs().mean(dim=0).clamp_min(_SMALLEST)
        spread = torch.where(spread > _SMALLEST, spread, (x - middle).abs().amax(dim=0) + 1)
        c = (medians - middle) / spread
        weight = 2 * c / spread / self.n_features
        bias = -c.square().sum(dim=1) / self.n_features - weight @ middle
        return Classifier(
            support.features.identities, Theta((), LinearHead(weight, bias)), support.class_names
        )


def _median(rows: torch.Tensor) -> torch.Tensor:
    """Of an even number of cases the mean of the two in the middle."""
    return torch.quantile(rows, 0.5, dim=0)
