"""FEAT: prototypes that look at each other first (Ye, Hu, Zhan & Sha, CVPR 2020)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Theta
from medfs.mappers.base import TensorMapper, class_means
from medfs.mappers.embedding import Kind
from medfs.mappers.modulation import seeded_linear, silent_linear
from medfs.mappers.prototype import nearest


class FEAT(TensorMapper):
    """Nearest prototype, the prototypes adapted as a set by one layer of a transformer.

    Self-attention with one head, a residual and layer normalisation, as in the paper; no dropout,
    since a support must give one classifier. Attention begins at zero. What is learned decides how
    a class is moved by the company that it is in; permuting classes permutes prototypes.
    """

    def __init__(self, n_features: int, embedding: Kind = "support", hidden: int = 0) -> None:
        super().__init__(n_features, embedding, hidden)
        generator = torch.Generator().manual_seed(0)
        self.of_query, self.of_key, self.of_value = (
            seeded_linear(n_features, n_features, generator).weight for _ in range(3)
        )
        self.out = silent_linear(n_features, n_features)
        self.norm = torch.nn.LayerNorm(n_features)
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features) / 2))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        head = nearest(self.adapted(class_means(x, members)))
        scale = self.log_scale.exp()
        return Theta(steps, LinearHead(scale * head.weight, scale * head.bias))

    def adapted(self, prototypes: Float[Tensor, "way feature"]) -> Float[Tensor, "way feature"]:
        """The prototypes, each aware of the others."""
        queries, keys = prototypes @ self.of_query.T, prototypes @ self.of_key.T
        attention = torch.softmax(queries @ keys.T / self.n_features**0.5, dim=1)
        return self.norm(prototypes + self.out(attention @ (prototypes @ self.of_value.T)))
