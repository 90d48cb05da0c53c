"""A posterior mixture of ridge classifiers, each with its own learned idea of what matters.

With ten cases no method can find out which of forty features tell two classes apart. An expert is a
guess made in advance: a metric of the features, a penalty, a scale. The support itself says in
closed form how well each guess explains its labels (`medfs.mappers.evidence`). The classifiers are
averaged by these odds times learned prior odds (Bayesian model averaging: Hoeting et al.,
Statistical Science 14, 1999). All experts are linear in the same standardised features, hence so is
their mixture.
"""

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.tasks import TaskBatch
from medfs.core.theta import LinearHead, Standardizer, Theta
from medfs.mappers.base import TensorMapper
from medfs.mappers.evidence import Evidence, Seen, apartness, evidence
from medfs.mappers.modulation import seeded_linear, silent_linear

_LIMIT = 4.0
_OF_EXPERT, _OF_TASK = 6, 6
# Unlabelled cases of a site weigh against what is usual elsewhere, which counts as so many cases;
# against the support's own spread they count as no more than these.
_USUAL_CASES, _MOST_SITE_CASES = 10, 20
# Of a normal distribution the middle 68 % are two deviations wide; findings have longer tails.
_QUANTILES = (0.16, 0.84)


class Mixture(TensorMapper):
    """Bayesian average of linear Gaussian processes over learned feature metrics.

    Features are centred on the support and divided by the spread that cases of one task usually
    have, moved towards the support's own as far as was learned for each feature. What differs
    between experts besides their metric: how far they rely on the support's own spread, and how far
    on the features in which its classes lie apart.

    Args:
        n_features: length of a row.
        experts: how many guesses.
        width: of the two small networks, which weigh the evidence of an expert and set the scale of
            the logits.
    """

    spread: Tensor
    limit: Tensor
    site_cases: Tensor

    def __init__(self, n_features: int, experts: int = 24, width: int = 16) -> None:
        super().__init__(n_features, "none")
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("limit", torch.tensor(_LIMIT))
        self.register_buffer("site_cases", torch.zeros(()), persistent=False)
        gain, penalty = _opinions(experts, n_features, generator)
        self.log_gain = torch.nn.Parameter(gain)
        self.log_penalty = torch.nn.Parameter(penalty)
        self.log_scale = torch.nn.Parameter(torch.full((experts,), 1.5))
        # Cases that the usual spread counts as: for all experts, and beyond that for each.
        self.log_cases = torch.nn.Parameter(torch.full((n_features,), math.log(10.0)))
        self.log_cases_of = torch.nn.Parameter(torch.full((experts,), math.log(3.0)))
        self.reliance = torch.nn.Parameter(_shuffled(-2.0, 2.0, experts, generator))
        self.focus = torch.nn.Parameter(_shuffled(-3.0, 1.0, experts, generator))
        self.focus_by_size = torch.nn.Parameter(torch.zeros(experts))
        self.odds = torch.nn.Parameter(torch.zeros(experts))
        self.odds_by_size = torch.nn.Parameter(torch.zeros(experts))
        self.log_weights = torch.nn.Parameter(torch.full((2,), -1.0))
        self.weights_by_size = torch.nn.Parameter(torch.zeros(2))
        self.of_expert = seeded_linear(_OF_EXPERT, width, generator)
        self.trust = silent_linear(width, 1)
        self.of_task = seeded_linear(_OF_TASK, width, generator)
        self.confidence = silent_linear(width, 1)

    def fit_population(self, batches: Sequence[TaskBatch]) -> None:
        """The usual spread within a task, a geometric mean: no single kind of scan rules it."""
        variances = torch.cat([_variances(batch) for batch in batches]).double()
        mean = variances.mean(dim=0)
        # A feature that is constant in most tasks is not therefore precise.
        floor = (1e-3 * mean).clamp_min(1e-12)
        self.spread.copy_((variances.maximum(floor).log().mean(dim=0) / 2).exp())

    def at_site(self, rows: Float[Tensor, "case feature"]) -> "Mixture":
        """The same φ with the spread of features as it is at a site.

        Args:
            rows: features of unlabelled cases, two or more.
        """
        low, high = torch.quantile(rows.double(), rows.new_tensor(_QUANTILES).double(), dim=0)
        theirs = ((high - low) / 2).square()
        # Most cases may share a value, such as a single component.
        theirs = torch.where(theirs > 0, theirs, rows.double().var(dim=0))
        n, usual = len(rows), self.spread.double().square()
        made = copy.deepcopy(self)
        made.spread.copy_(((n * theirs + _USUAL_CASES * usual) / (n + _USUAL_CASES)).sqrt())
        made.site_cases.fill_(min(n, _MOST_SITE_CASES))
        return made

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        standardizer, seen = self._see(x, members)
        metrics, scale = self._metrics(seen), self.log_scale.exp()
        told = evidence(seen, metrics, self.log_penalty.exp(), scale)
        odds = self._odds(seen, told)
        of_experts = torch.einsum("enw,n,nf->ewf", told.dual, seen.root, seen.z)
        share = odds * scale * self._confidence(seen, told, odds) / self.n_features
        weight = torch.einsum("e,ef,ewf->wf", share, metrics, of_experts)
        # Features are centred on classes that weigh alike: nothing is left for a bias.
        return Theta((standardizer,), LinearHead(weight, weight.new_zeros(len(weight))))

    def _see(self, x: Tensor, members: Tensor) -> tuple[Standardizer, Seen]:
        weights = members.sum(dim=1)
        n_cases = 1 / weights.square().sum()
        mean = weights @ x
        usual, own = self.spread.square(), weights @ (x - mean).square()
        variance = _between(usual, own, self._cases(self.log_cases), n_cases)
        standardizer = Standardizer(mean, variance.sqrt(), self.limit)
        root = (weights * n_cases).sqrt()
        return standardizer, Seen(standardizer(x), members, root, usual, own, n_cases)

    def _metrics(self, seen: Seen) -> Float[Tensor, "expert feature"]:
        """Weight of each squared feature, one on average."""
        of_all, of_each = self._cases(self.log_cases), self._cases(self.log_cases_of[:, None])
        shared = _between(seen.usual, seen.own, of_all, seen.n_cases)
        theirs = _between(seen.usual, seen.own, of_each, seen.n_cases)
        by_spread = (shared / theirs).log() * torch.sigmoid(self.reliance)[:, None]
        power = torch.sigmoid(self.focus + self.focus_by_size * seen.log_size)[:, None]
        metrics = torch.exp(2 * self.log_gain + by_spread + 2 * power * apartness(seen))
        return metrics / metrics.mean(dim=1, keepdim=True)

    def _cases(self, log_cases: Tensor) -> Tensor:
        """How many cases the usual spread counts as."""
        return log_cases.exp() + self.site_cases

    def _odds(self, seen: Seen, told: Evidence) -> Float[Tensor, "expert"]:
        """Posterior probability of each expert."""
        prior = self.odds + self.odds_by_size * seen.log_size
        # Few cases, and an expert that has looked at the labels: evidence counts for less, or more.
        weights = (self.log_weights + self.weights_by_size * seen.log_size).exp()
        linear = weights[0] * told.marginal + weights[1] * told.left_out
        return torch.softmax(prior + linear + self._trust(seen, told), dim=0)

    def _trust(self, seen: Seen, told: Evidence) -> Float[Tensor, "expert"]:
        """What evidence means beyond its size, by one network for all experts."""
        marginal = (told.marginal - told.marginal.amax()) / seen.n_cases
        left_out = told.left_out / seen.n_cases
        facts = [
            marginal,
            marginal.exp(),
            left_out,
            left_out - left_out.amax(),
            seen.log_size.expand_as(marginal),
            seen.n_way.log().expand_as(marginal),
        ]
        hidden = torch.nn.functional.gelu(self.of_expert(torch.stack(facts, dim=1)))
        return 3 * self.trust(hidden)[:, 0]

    def _confidence(self, seen: Seen, told: Evidence, odds: Tensor) -> Float[Tensor, ""]:
        """Factor on all logits: how sharp probabilities may be."""
        facts = [
            seen.log_size,
            seen.n_way.log(),
            1 / seen.n_way,
            (odds * told.left_out).sum() / seen.n_cases,
            (odds * told.marginal).sum() / seen.n_cases,
            -(odds * (odds + 1e-9).log()).sum(),
        ]
        hidden = torch.nn.functional.gelu(self.of_task(torch.stack(facts)))
        return self.confidence(hidden)[0].exp()


def _opinions(experts: int, n_features: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Log gains and log penalties to begin with: a third of the experts trusts all features."""
    gain = torch.randn(experts, n_features, generator=generator)
    open_minded = max(1, experts // 3)
    gain[:open_minded] = 0
    rest = torch.linspace(-2, 1, experts - open_minded)
    return gain, torch.cat([torch.linspace(-4, 1, open_minded), rest])


def _shuffled(low: float, high: float, n: int, generator: torch.Generator) -> Tensor:
    """Evenly spread numbers in random order, so that the experts differ in every combination."""
    return torch.linspace(low, high, n)[torch.randperm(n, generator=generator)]


def _between(usual: Tensor, own: Tensor, cases: Tensor, n_cases: Tensor) -> Tensor:
    """A variance between the usual and the support's, each weighed by its number of cases."""
    return (cases * usual + n_cases * own) / (cases + n_cases)


def _variances(batch: TaskBatch) -> Float[Tensor, "task feature"]:
    """Of all cases of each task, its classes alike."""
    rows = torch.cat([batch.support, batch.query], dim=1)
    weights = torch.cat([batch.support_weights, batch.query_weights], dim=1)[..., None]
    weights = weights / weights.sum(dim=1, keepdim=True)
    mean = (weights * rows).sum(dim=1, keepdim=True)
    return (weights * (rows - mean).square()).sum(dim=1)
