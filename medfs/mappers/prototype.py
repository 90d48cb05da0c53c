"""Prototypical networks (Snell, Swersky & Zemel, NeurIPS 2017)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Theta
from medfs.mappers.base import TensorMapper, class_means
from medfs.mappers.embedding import Kind


class Prototype(TensorMapper):
    """The class whose mean is nearest: logits are minus squared Euclidean distances.

    |x|² is the same for all classes and leaves the softmax unchanged, so that the rule is linear:
    −|x − c|² = 2 c·x − |c|² + const. Where the embedding is learned, so is the scale of distances.
    """

    def __init__(self, n_features: int, embedding: Kind = "support", hidden: int = 0) -> None:
        super().__init__(n_features, embedding, hidden)
        if embedding != "support":
            self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features) / 2))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        head = nearest(class_means(x, members))
        if self.embedding.kind == "support":
            return Theta(steps, head)
        scale = self.log_scale.exp()
        return Theta(steps, LinearHead(scale * head.weight, scale * head.bias))


def nearest(prototypes: Float[Tensor, "way feature"]) -> LinearHead:
    """Minus squared distances to the prototypes, up to what all classes share."""
    return LinearHead(2 * prototypes, -prototypes.square().sum(dim=1))
