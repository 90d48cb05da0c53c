"""SimpleShot: nearest centroid of centred unit-length features (Wang et al., arXiv 1911.04623)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Theta, UnitLength
from medfs.mappers.base import TensorMapper, class_means
from medfs.mappers.embedding import Kind

# Cosines lie in ±1; with this factor a softmax tells them apart before anything is learned.
_FACTOR = 10.0
_FLOOR = 1e-6


class SimpleShot(TensorMapper):
    """logits = factor · cos(x, centroid), x centred by the embedding.

    The centroid is the mean of the support's rows after they got unit length, as in the paper's
    CL2N; its own length does not count. The factor is learned where the embedding is.
    """

    def __init__(self, n_features: int, embedding: Kind = "support", hidden: int = 0) -> None:
        super().__init__(n_features, embedding, hidden)
        log_factor = torch.tensor(math.log(_FACTOR))
        if embedding == "support":
            self.register_buffer("log_factor", log_factor, persistent=False)
        else:
            self.log_factor = torch.nn.Parameter(log_factor)

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        to_unit = UnitLength(torch.full_like(x[0, 0], _FLOOR))
        centroids = to_unit(class_means(to_unit(x), members))
        weight = self.log_factor.to(x.dtype).exp() * centroids
        return Theta((*steps, to_unit), LinearHead(weight, torch.zeros_like(weight[:, 0])))
