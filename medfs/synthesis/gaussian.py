"""A family of tasks whose best possible classifier is known in closed form.

Class means are normal around zero and cases are normal around their class mean, each feature with
variances of its own. A learner that sees many such tasks can find out which features tell classes
apart; the posterior predictive knows it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medfs.core.tasks import TaskBatch, balanced


@dataclass(frozen=True, slots=True, eq=False)
class GaussianFamily:
    """Variances of one family.

    Attributes:
        between: of class means, per feature.
        within: of cases around the mean of their class, per feature.
    """

    between: Float[Tensor, "feature"]
    within: Float[Tensor, "feature"]

    @classmethod
    def drawn(cls, n_features: int, seed: int) -> "GaussianFamily":
        """Log-normal variances: few features tell the classes apart, and all have other units."""
        generator = torch.Generator().manual_seed(seed)
        between, within = torch.randn(2, n_features, generator=generator)
        return cls(0.15 * torch.exp(1.5 * between), torch.exp(within))

    def sample(
        self, n_tasks: int, n_way: int, n_shot: int, n_query: int, generator: torch.Generator
    ) -> TaskBatch:
        """Tasks with `n_shot` support cases and `n_query` queries of every class."""
        means = torch.randn(n_tasks, n_way, len(self.between), generator=generator)
        means = means * self.between.sqrt()
        support, support_labels = self._cases(means, n_shot, generator)
        query, query_labels = self._cases(means, n_query, generator)
        return TaskBatch(
            support,
            support_labels,
            balanced(support_labels, n_way),
            query,
            query_labels,
            balanced(query_labels, n_way),
            n_way,
        )

    def posterior_predictive(self, batch: TaskBatch) -> Float[Tensor, "task query way"]:
        """Log p(query | class, support), with the class mean integrated out.

        Of n cases with mean m the class mean is N(s·m, v), v = 1 / (1/between + n/within) and
        s = v·n / within; a query then is N(s·m, v + within). Classes may have unequal n.
        """
        codes = torch.nn.functional.one_hot(batch.support_labels, batch.n_way)
        codes = codes * (batch.support_weights > 0)[..., None]
        counts = codes.sum(dim=1)[..., None]
        sums = torch.einsum("tsf,tsw->twf", batch.support, codes.to(batch.support.dtype))
        variance = 1 / (1 / self.between + counts / self.within)
        mean, spread = variance * sums / self.within, variance + self.within
        distance = (batch.query[:, :, None] - mean[:, None]).square() / spread[:, None]
        return -0.5 * (distance + spread.log()[:, None]).sum(dim=-1)

    def _cases(
        self, means: Float[Tensor, "task way feature"], per_class: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "task case feature"], Int[Tensor, "task case"]]:
        n_tasks, n_way, n_features = means.shape
        labels = torch.arange(n_way).repeat_interleave(per_class)
        noise = torch.randn(n_tasks, len(labels), n_features, generator=generator)
        return means[:, labels] + noise * self.within.sqrt(), labels.expand(n_tasks, -1)
