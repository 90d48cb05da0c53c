"""Prototypical networks (Snell, Swersky & Zemel, NeurIPS 2017), on standardised features."""

import torch

from medfs.core.classifiers import Classifier, LinearHead
from medfs.core.episodes import SupportSet
from medfs.mappers.standardize import balanced_weights, standardize


class Prototype(torch.nn.Module):
    """The class whose mean is nearest: logits are minus squared Euclidean distances.

    |x|² is the same for all classes and leaves the softmax unchanged, so that the rule is linear:
    −|x − c|² = 2 c·x − |c|² + const.
    """

    def forward(self, support: SupportSet) -> Classifier:
        weights = balanced_weights(support)
        standardizer, x = standardize(support.features.joined().double(), weights)
        members = torch.nn.functional.one_hot(support.labels, support.n_way).double()
        prototypes = support.n_way * (members * weights[:, None]).T @ x
        head = LinearHead(2 * prototypes, -(prototypes**2).sum(dim=1))
        return Classifier(support.features.identities, standardizer, head, support.class_names)
