"""Relation networks: a learned comparison with every prototype (Sung et al., CVPR 2018)."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import RelationHead, Theta
from medfs.mappers.base import TensorMapper, class_means
from medfs.mappers.embedding import Kind


class Relation(TensorMapper):
    """A small network reads a case and a prototype side by side and says how well they go together.

    The paper's convolutions become one hidden layer, for features are vectors; scores go into a
    softmax instead of squared errors. The network begins as minus the mean absolute difference of
    the two, which a layer of twice the width can say exactly: untrained, this is the nearest
    prototype in that distance.
    """

    def __init__(self, n_features: int, embedding: Kind = "support", hidden: int = 0) -> None:
        super().__init__(n_features, embedding, hidden)
        eye = torch.eye(n_features)
        self.of_case = torch.nn.Parameter(torch.cat([eye, -eye]))
        self.of_class = torch.nn.Parameter(torch.cat([-eye, eye]))
        self.offset = torch.nn.Parameter(torch.zeros(2 * n_features))
        self.score = torch.nn.Parameter(torch.full((2 * n_features,), -1 / n_features))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        offsets = class_means(x, members) @ self.of_class.T + self.offset
        return Theta(steps, RelationHead(self.of_case, offsets, self.score))
