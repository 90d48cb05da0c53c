"""A set encoder that reads a support set and modulates features: the g_φ of CNAPS-like methods.

Deep Sets (Zaheer et al., NeurIPS 2017): every class is pooled over its cases and the classes are
pooled in turn, so that neither the order of cases nor the names of classes matter, and ways and
shots are free. FiLM: Perez et al. (AAAI 2018); from a task: Requeima et al. (NeurIPS 2019).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import Film
from medfs.mappers.base import class_means


class Modulator(torch.nn.Module):
    """Support → one FiLM per list of channels. Begins as no modulation.

    Args:
        n_features: length of a row.
        width: of the hidden layers.
        channels: how many channels each FiLM has.
    """

    def __init__(self, n_features: int, width: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        # Weights from a generator of their own: building a mapper draws on no global state.
        generator = torch.Generator().manual_seed(0)
        self.of_class = seeded_linear(2 * n_features + 1, width, generator)
        self.of_task = seeded_linear(2 * width, width, generator)
        self.out = torch.nn.ModuleList(silent_linear(width, 2 * c) for c in channels)

    def forward(
        self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
    ) -> tuple[Film, ...]:
        context = self.context(x, members)
        pairs = [layer(context).chunk(2) for layer in self.out]
        return tuple(Film(torch.tanh(gain), shift) for gain, shift in pairs)

    def context(
        self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
    ) -> Float[Tensor, "width"]:
        """What the whole support looks like."""
        gelu = torch.nn.functional.gelu
        classes = gelu(self.of_class(class_summary(x, members)))
        pooled = torch.cat([classes.mean(dim=0), classes.amax(dim=0)])
        return gelu(self.of_task(pooled))


def class_summary(
    x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
) -> Float[Tensor, "way summary"]:
    """Mean and spread of every class's features, and the logarithm of its number of cases."""
    share = members / members.sum(dim=0)
    means = class_means(x, members)
    second = share.T @ x.square()
    # A floor under the root: one case has no spread, and the root no slope at zero.
    spread = (second - means.square()).clamp_min(0).add(1e-4).sqrt()
    cases = 1 / share.square().sum(dim=0)
    return torch.cat([means, spread, cases.log()[:, None]], dim=1)


def seeded_linear(n_in: int, n_out: int, generator: torch.Generator) -> torch.nn.Linear:
    """A linear layer with normal weights of variance 1 / n_in and no offset."""
    layer = torch.nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) / n_in**0.5)
        layer.bias.zero_()
    return layer


def silent_linear(n_in: int, n_out: int) -> torch.nn.Linear:
    """A linear layer that gives zeros until it is trained."""
    layer = torch.nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return layer
