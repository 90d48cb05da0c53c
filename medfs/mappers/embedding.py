"""The first steps of θ: in which units, and through which learned eyes, features are seen."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import UsageError
from medfs.core.theta import Film, Residual, Standardizer, Step
from medfs.mappers.standardize import standardize

Kind = Literal["none", "support", "population"]
KINDS: tuple[Kind, ...] = ("none", "support", "population")
# Wider than with the support's statistics alone: a population's spread is well known.
_POPULATION_LIMIT = 4.0


class Embedding(torch.nn.Module):
    """Steps that every method can stand on.

    Args:
        n_features: length of a row.
        kind: `none`: features as they are (an encoder that is trained end to end needs no more).
            `support`: the support's own mean and deviation; nothing is learned.
            `population`: those of the meta-training cases, moved towards the support's as if the
            population were a learned number of further cases; then a learned gain per feature.
        hidden: width of a residual block behind that; 0 for none. Only with `population`.

    The population's statistics are set once by `fit_population`; until then they are 0 and 1.
    """

    mean: Tensor
    spread: Tensor
    limit: Tensor

    def __init__(self, n_features: int, kind: Kind = "support", hidden: int = 0) -> None:
        super().__init__()
        if kind not in KINDS:
            raise UsageError(f"there is no embedding {kind!r}", why=f"Known: {', '.join(KINDS)}")
        if hidden and kind != "population":
            raise UsageError("a hidden layer goes with the embedding 'population'")
        self.n_features, self.kind, self.hidden = n_features, kind, hidden
        if kind != "population":
            return
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("limit", torch.tensor(_POPULATION_LIMIT))
        # Cases that the population counts as, for the mean and for the spread.
        self.log_cases = torch.nn.Parameter(torch.log(torch.tensor([10.0, 30.0])))
        self.log_gain = torch.nn.Parameter(torch.zeros(n_features))
        if hidden:
            # From a generator of its own: building a mapper draws on no global state.
            drawn = torch.randn(hidden, n_features, generator=torch.Generator().manual_seed(0))
            self.w_in = torch.nn.Parameter(drawn / n_features**0.5)
            self.b_in = torch.nn.Parameter(torch.zeros(hidden))
            self.w_out = torch.nn.Parameter(torch.zeros(n_features, hidden))
            self.b_out = torch.nn.Parameter(torch.zeros(n_features))

    def fit_population(self, rows: Float[Tensor, "case feature"]) -> None:
        """Mean and deviation of the meta-training cases; a constant feature has deviation 1."""
        if self.kind == "population":
            spread = rows.double().std(dim=0, correction=0)
            scale = rows.double().abs().amax(dim=0).clamp_min(1e-12)
            self.mean.copy_(rows.double().mean(dim=0))
            self.spread.copy_(torch.where(spread <= 1e-6 * scale, torch.ones_like(spread), spread))

    def forward(
        self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
    ) -> tuple[tuple[Step, ...], Float[Tensor, "case feature"]]:
        """The steps for this support, and its features behind them."""
        if self.kind == "none":
            return (), x
        weights = members.sum(dim=1)
        if self.kind == "support":
            standardizer, seen = standardize(x, weights)
            return (standardizer,), seen
        steps: tuple[Step, ...] = (
            self._standardizer(x, weights),
            Film(self.log_gain.exp() - 1, torch.zeros_like(self.log_gain)),
        )
        if self.hidden:
            steps = (*steps, Residual(self.w_in, self.b_in, self.w_out, self.b_out))
        for step in steps:
            x = step(x)
        return steps, x

    def _standardizer(self, x: Tensor, weights: Tensor) -> Standardizer:
        cases = 1 / weights.square().sum()
        for_mean, for_spread = cases / (cases + self.log_cases.exp())
        mean = self.mean + for_mean * (weights @ x - self.mean)
        variance = weights @ (x - mean).square()
        variance = self.spread**2 + for_spread * (variance - self.spread**2)
        return Standardizer(mean, variance.sqrt(), self.limit)
