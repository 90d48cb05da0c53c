"""Meta-SGD: every number that descends has a rate of its own (Li et al., arXiv 1707.09835)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import Theta
from medfs.mappers.base import TensorMapper
from medfs.mappers.embedding import Kind
from medfs.mappers.maml import descended, network_start


class MetaSGD(TensorMapper):
    """MAML with learned rates: where the descent starts, in which direction it goes, and how far.

    As in the paper a rate may become negative, and one step is the usual number of them. The head
    has one rate for each feature and one for the offsets, shared by the classes, whose number and
    order are free.

    Args:
        steps: of the inner loop.
        width: of the network that descends.
        first_order: as in `MAML`.
    """

    def __init__(
        self,
        n_features: int,
        embedding: Kind = "support",
        hidden: int = 0,
        steps: int = 1,
        width: int = 32,
        first_order: bool = False,
    ) -> None:
        super().__init__(n_features, embedding, hidden)
        self.steps, self.first_order = steps, first_order
        self.start = network_start(n_features, width)
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features)))
        like = {**self.start, "weight": torch.zeros(n_features), "bias": torch.zeros(())}
        self.rates = torch.nn.ParameterDict(
            {name: torch.full_like(t.detach(), 1 / n_features) for name, t in like.items()}
        )

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        network, head = descended(
            x,
            members,
            dict(self.start),
            self.log_scale.exp(),
            dict(self.rates),
            self.steps,
            self.first_order,
        )
        return Theta((*steps, network), head)
