"""ANIL: almost no inner loop, the head alone descends (Raghu et al., ICLR 2020)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Theta
from medfs.mappers.base import TensorMapper, class_means
from medfs.mappers.embedding import Kind
from medfs.mappers.inner_loop import descend, support_loss
from medfs.mappers.prototype import nearest


class ANIL(TensorMapper):
    """A linear head, fitted to the support by a few differentiated steps.

    It starts at the prototypes (Triantafillou et al., ICLR 2020), for any number of classes and
    the same whatever their order. Learned are where the features are seen from, the scale of the
    start and the rate of the descent.

    Args:
        steps: of the inner loop.
    """

    def __init__(
        self, n_features: int, embedding: Kind = "support", hidden: int = 0, steps: int = 5
    ) -> None:
        super().__init__(n_features, embedding, hidden)
        self.steps = steps
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features)))
        self.log_rate = torch.nn.Parameter(torch.tensor(-math.log(n_features)))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)

        def loss(head: dict[str, Tensor]) -> Tensor:
            return support_loss(LinearHead(**head)(x), members)

        start = prototype_start(x, members, self.log_scale.exp())
        return Theta(steps, LinearHead(**descend(loss, start, self.log_rate.exp(), self.steps)))


def prototype_start(
    x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"], scale: Tensor
) -> dict[str, Tensor]:
    """Weights and offsets of the rule of the nearest prototype, scaled."""
    head = nearest(class_means(x, members))
    return {"weight": scale * head.weight, "bias": scale * head.bias}
