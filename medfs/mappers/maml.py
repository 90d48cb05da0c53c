"""MAML with exact second derivatives (Finn, Abbeel & Levine, ICML 2017)."""

import math
from collections.abc import Mapping

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
        first_order: FOMAML, the paper's approximation: φ gets its gradient as if those of the
            inner loop were constants. θ is the same, training is cheaper.
    """

    def __init__(
        self,
        n_features: int,
        embedding: Kind = "support",
        hidden: int = 0,
        steps: int = 5,
        width: int = 32,
        first_order: bool = False,
    ) -> None:
        super().__init__(n_features, embedding, hidden)
        self.steps, self.first_order = steps, first_order
        self.start = network_start(n_features, width)
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features)))
        self.log_rate = torch.nn.Parameter(torch.tensor(-math.log(n_features)))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        rate = self.log_rate.exp()
        network, head = descended(
            x, members, dict(self.start), self.log_scale.exp(), rate, self.steps, self.first_order
        )
        return Theta((*steps, network), head)


def network_start(n_features: int, width: int) -> torch.nn.ParameterDict:
    """A residual network that begins as the identity, drawn from no global state."""
    drawn = torch.randn(width, n_features, generator=torch.Generator().manual_seed(0))
    return torch.nn.ParameterDict(
        {
            "w_in": drawn / n_features**0.5,
            "b_in": torch.zeros(width),
            "w_out": torch.zeros(n_features, width),
            "b_out": torch.zeros(n_features),
        }
    )


def descended(
    x: Float[Tensor, "case feature"],
    members: Float[Tensor, "case way"],
    start: Mapping[str, Tensor],
    scale: Tensor,
    rate: Tensor | Mapping[str, Tensor],
    n_steps: int,
    first_order: bool = False,
) -> tuple[Residual, LinearHead]:
    """Network and head after the inner loop; the head starts at scaled prototypes."""

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        network, head = _split(parameters)
        return support_loss(head(network(x)), members)

    seen = Residual(**start)(x)
    whole = {**start, **prototype_start(seen, members, scale)}
    return _split(descend(loss, whole, rate, n_steps, first_order))


def _split(parameters: dict[str, Tensor]) -> tuple[Residual, LinearHead]:
    network = {k: p for k, p in parameters.items() if k not in ("weight", "bias")}
    return Residual(**network), LinearHead(parameters["weight"], parameters["bias"])
