"""MAML with exact second derivatives (Finn, Abbeel & Levine, ICML 2017)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Residual, Theta
from medfs.mappers.anil import prototype_start
from medfs.mappers.base import TensorMapper
from medfs.mappers.embedding import Kind
from medfs.mappers.inner_loop import descend, support_loss


class MAML(TensorMapper):
    """A residual network and a linear head on top of features, both fitted by gradient steps.

    φ is where the network starts and how fast it descends; the head starts at the prototypes
    (Triantafillou et al., ICLR 2020), which leaves the number and order of classes free. To let a
    whole encoder descend, see `EndToEndMAML`.

    Args:
        steps: of the inner loop.
        width: of the network that descends.
    """

    def __init__(
        self,
        n_features: int,
        embedding: Kind = "support",
        hidden: int = 0,
        steps: int = 5,
        width: int = 32,
    ) -> None:
        super().__init__(n_features, embedding, hidden)
        self.steps = steps
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(width, n_features, generator=generator) / n_features**0.5
        self.start = torch.nn.ParameterDict(
            {
                "w_in": drawn,
                "b_in": torch.zeros(width),
                "w_out": torch.zeros(n_features, width),
                "b_out": torch.zeros(n_features),
            }
        )
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features)))
        self.log_rate = torch.nn.Parameter(torch.tensor(-math.log(n_features)))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)

        def loss(parameters: dict[str, Tensor]) -> Tensor:
            network, head = _split(parameters)
            return support_loss(head(network(x)), members)

        network = Residual(**self.start)
        start = {**self.start, **prototype_start(network(x), members, self.log_scale.exp())}
        network, head = _split(descend(loss, start, self.log_rate.exp(), self.steps))
        return Theta((*steps, network), head)


def _split(parameters: dict[str, Tensor]) -> tuple[Residual, LinearHead]:
    network = {k: p for k, p in parameters.items() if k not in ("weight", "bias")}
    return Residual(**network), LinearHead(parameters["weight"], parameters["bias"])
