"""Distribution calibration: spreads borrowed from known classes (Yang, Liu & Xu, ICLR 2021)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import UsageError
from medfs.core.tasks import TaskBatch
from medfs.core.theta import LinearHead, Theta
from medfs.mappers.base import TensorMapper
from medfs.mappers.embedding import Kind


class DistributionCalibration(TensorMapper):
    """Every case is the centre of a Gaussian that the nearest base classes help to draw.

    Its mean is the average of the case and the means of the base classes nearest to it, its
    variances are theirs and α. The paper draws samples from these and fits a linear classifier to
    them; here is what the linear discriminant of ever more samples converges to, in closed form,
    so that nothing is drawn. Covariances of base classes, of a dozen cases each, are kept as
    variances; the paper's power transform is left out, since standardised features are signed.

    Base classes are those of the first tasks of meta-training. Their statistics are buffers of φ,
    counts, means and deviations, no cases. Before there are any, this is the nearest class mean in
    a metric in which directions that vary within classes count less.

    Args:
        base: how many base classes are kept.
        nearest: how many of them a case borrows from.
    """

    base_means: Tensor
    base_spreads: Tensor
    base_known: Tensor

    def __init__(
        self,
        n_features: int,
        embedding: Kind = "support",
        hidden: int = 0,
        base: int = 64,
        nearest: int = 2,
    ) -> None:
        super().__init__(n_features, embedding, hidden)
        if hidden:
            raise UsageError("statistics of base classes do not go through a hidden layer")
        if not 1 <= nearest <= base:
            raise UsageError(f"cannot borrow from {nearest} of {base} base classes")
        self.nearest = nearest
        self.register_buffer("base_means", torch.zeros(base, n_features))
        self.register_buffer("base_spreads", torch.zeros(base, n_features))
        self.register_buffer("base_known", torch.zeros(base))
        self.log_alpha = torch.nn.Parameter(torch.zeros(()))
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(n_features) / 2))

    def fit_population(self, batches: Sequence[TaskBatch]) -> None:
        """Also the statistics of as many classes of these tasks as are kept."""
        super().fit_population(batches)
        found = [pair for batch in batches for pair in _classes(batch)]
        # From all batches alike: their ways and shots differ.
        chosen = torch.linspace(0, len(found) - 1, min(len(found), len(self.base_known)))
        for at, which in enumerate(chosen.round().long().tolist()):
            self.base_means[at], self.base_spreads[at] = found[which]
            self.base_known[at] = 1

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        means, low, high = (
            self.base_means,
            self.base_means - self.base_spreads,
            self.base_means + self.base_spreads,
        )
        for step in steps:
            means, low, high = step(means), step(low), step(high)
        centres, variances = self._calibrated(x, means, (high - low) / 2)
        head = discriminant(centres, variances, members)
        scale = self.log_scale.exp()
        return Theta(steps, LinearHead(scale * head.weight, scale * head.bias))

    def _calibrated(
        self, x: Tensor, means: Tensor, spreads: Tensor
    ) -> tuple[Float[Tensor, "case feature"], Float[Tensor, "case feature"]]:
        """Mean and variances of the Gaussian around every case."""
        known = self.base_known.to(x.dtype)
        distances = (x[:, None] - means).square().sum(dim=2)
        beyond = distances.detach().amax() + 1
        near = torch.where(known > 0, distances, beyond).topk(self.nearest, largest=False).indices
        lent = torch.nn.functional.one_hot(near, len(known)).to(x.dtype).sum(dim=1) * known
        number = lent.sum(dim=1, keepdim=True)
        variances = lent @ spreads.square() / number.clamp_min(1) + self.log_alpha.exp()
        return (x + lent @ means) / (number + 1), variances


def discriminant(
    centres: Float[Tensor, "case feature"],
    variances: Float[Tensor, "case feature"],
    members: Float[Tensor, "case way"],
) -> LinearHead:
    """Linear discriminant of classes that are mixtures of Gaussians, one around each case.

    The covariance that classes share is D + UᵀU, D the mean variances and U the deviations of
    centres from their class, so that the system is one of cases (Woodbury).
    """
    weights = members.sum(dim=1)
    counts = weights[:, None] > 0
    centres = torch.where(counts, centres, torch.zeros_like(centres))
    variances = torch.where(counts, variances, torch.ones_like(variances))
    means = (members / members.sum(dim=0)).T @ centres
    share = members / weights.clamp_min(1e-12)[:, None]
    # Deviations are from one class alone, as a case has no weight in another.
    off = weights.sqrt()[:, None] * (centres - share @ means) * counts
    diagonal = weights @ variances
    small = off / diagonal
    eye = torch.eye(len(off), dtype=off.dtype, device=off.device)
    weight = means / diagonal
    weight = weight - torch.linalg.solve(eye + small @ off.T, off @ weight.T).T @ small
    return LinearHead(weight, -(weight * means).sum(dim=1) / 2)


def _classes(batch: TaskBatch) -> list[tuple[Tensor, Tensor]]:
    """Mean and deviation of every class of every task, of support and queries together."""
    rows = torch.cat([batch.support, batch.query], dim=1)
    labels = torch.cat([batch.support_labels, batch.query_labels], dim=1)
    counts = torch.cat([batch.support_weights, batch.query_weights], dim=1) > 0
    found = []
    for x, of, counted in zip(rows, labels, counts, strict=True):
        for label in range(batch.n_way):
            own = x[counted & (of == label)]
            found.append((own.mean(dim=0), own.std(dim=0, correction=0)))
    return found
