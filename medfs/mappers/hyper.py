"""θ from a set encoder: a network that reads the support and writes the classifier.

Hypernetworks (Ha, Dai & Le, ICLR 2017) for few-shot tasks, with three ideas that keep ten cases
from being too few. It looks at every feature through the same small network, so that it learns what
a useful feature *looks like* on a support and, by an embedding per feature, which ones usually are.
What it emits enters a closed-form ridge: metric, penalty and temperature. And a residual of the
head is added class by class. All begin at zero, where the rule is that of plain ridge.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import Film, LinearHead, Theta
from medfs.mappers.base import TensorMapper, class_means
from medfs.mappers.embedding import Kind
from medfs.mappers.modulation import Modulator, class_summary, seeded_linear, silent_linear
from medfs.mappers.r2d2 import ridge

_CODE = 8
_FACTS = 7
_REACH = 4.0


class Hyper(TensorMapper):
    """g_φ(S) → feature metric, FiLM, penalty, temperature and head.

    Classes are pooled before anything is decided about features, and the residual of a class is
    made from its own statistics and the pooled ones by one network for all: ways are free, and
    permuting classes permutes rows.

    Args:
        width: of the hidden layers.
        film_channels: of the encoder's stages, where the encoder is to be modulated as well.
    """

    def __init__(
        self,
        n_features: int,
        embedding: Kind = "support",
        hidden: int = 0,
        width: int = 32,
        film_channels: tuple[int, ...] = (),
    ) -> None:
        super().__init__(n_features, embedding, hidden)
        generator = torch.Generator().manual_seed(0)
        self.codes = torch.nn.Parameter(0.1 * torch.randn(n_features, _CODE, generator=generator))
        self.read = seeded_linear(_FACTS + _CODE, width, generator)
        self.think = seeded_linear(2 * width, width, generator)
        self.of_feature = silent_linear(width, 2)
        self.of_task = silent_linear(width, 2)
        self.of_class = seeded_linear(width + 4, width, generator)
        self.residual = silent_linear(width, 1)
        self.log_penalty = torch.nn.Parameter(torch.zeros(()))
        self.log_scale = torch.nn.Parameter(torch.tensor(1.5))
        self.film_channels = film_channels
        self.modulator = Modulator(n_features, width, film_channels) if film_channels else None

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        features, task = self._think(x, members)
        gain, shift = self.of_feature(features).unbind(dim=1)
        film = Film(_bounded(gain).exp() - 1, shift)
        x = film(x)
        more_penalty, more_scale = self.of_task(task)
        penalty = torch.exp(self.log_penalty + _bounded(more_penalty)) * self.n_features
        weight, bias = ridge(x, members, penalty)
        scale = torch.exp(self.log_scale + _bounded(more_scale))
        extra = self._residual(x, members, weight, features)
        centre = members.sum(dim=1) @ x
        head = LinearHead(scale * (weight + extra), scale * (bias - extra @ centre))
        return Theta((*steps, film), head)

    def films(
        self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
    ) -> tuple[Film, ...]:
        """Modulation of each of the encoder's stages, from unmodulated features."""
        assert self.modulator is not None  # noqa: S101  (asked for only where it was built)
        return self.modulator(self.embedding(x, members)[1], members)

    def _think(self, x: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
        """One vector per feature, aware of the others, and one of the task."""
        gelu = torch.nn.functional.gelu
        seen = gelu(self.read(torch.cat([_facts(x, members), self.codes], dim=1)))
        task = seen.mean(dim=0)
        features = gelu(self.think(torch.cat([seen, task.expand_as(seen)], dim=1)))
        return features, features.mean(dim=0)

    def _residual(self, x: Tensor, members: Tensor, weight: Tensor, features: Tensor) -> Tensor:
        """What is added to the weight of each class and feature."""
        means = class_means(x, members)
        offset = means - means.mean(dim=0)
        n_way, n_features = means.shape
        spread = class_summary(x, members)[:, n_features : 2 * n_features]
        own = torch.stack([offset, weight * n_features, spread, offset.square()], dim=2)
        shared = features.expand(n_way, n_features, -1)
        hidden = torch.nn.functional.gelu(self.of_class(torch.cat([own, shared], dim=2)))
        # Times the offset: of two classes that look alike none is preferred.
        return self.residual(hidden)[..., 0] * offset / n_features


def _bounded(exponent: Tensor) -> Tensor:
    """Within ±_REACH: no support set may drive a factor to nothing or to infinity."""
    return _REACH * torch.tanh(exponent / _REACH)


def _facts(
    x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
) -> Float[Tensor, "feature facts"]:
    """What the support says of each feature: its spreads between and within how many classes."""
    means, n_way = class_means(x, members), members.shape[1]
    between = (means - means.mean(dim=0)).square().mean(dim=0)
    weights = members.sum(dim=1)
    within = weights @ (x - (members / weights.clamp_min(1e-12)[:, None]) @ means).square()
    cases = 1 / (members / members.sum(dim=0)).square().sum(dim=0)
    pooled = torch.stack([between, within, between / (within + 0.1)]).add(1e-4).log()
    size = torch.stack([cases.log().mean(), cases.log().amin(), between.new_tensor(n_way).log()])
    centre = weights @ x
    return torch.cat([pooled.T, size.expand(len(between), 3), centre[:, None]], dim=1)
