"""What a support set says of guesses about which features matter, in closed form."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.mappers.base import class_means

# Log of the number of cases at which what depends on that number is zero, about seven.
_TYPICAL = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A support as the experts see it.

    Attributes:
        z: standardised features.
        members: weight of each case in each class.
        root: square root of each case's weight, one on average; zero for padding.
        usual: variance that cases of one task usually have.
        own: variance on this support.
        n_cases: how many equal cases the weights amount to.
    """

    z: Float[Tensor, "case feature"]
    members: Float[Tensor, "case way"]
    root: Float[Tensor, "case"]
    usual: Float[Tensor, "feature"]
    own: Float[Tensor, "feature"]
    n_cases: Float[Tensor, ""]

    @property
    def log_size(self) -> Float[Tensor, ""]:
        return self.n_cases.log() - _TYPICAL

    @property
    def n_way(self) -> Float[Tensor, ""]:
        return self.n_cases.new_tensor(float(self.members.shape[1]))


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a support says of every expert.

    Attributes:
        dual: solution of the ridge system, by case.
        marginal: log marginal likelihood of the class codes.
        left_out: log-likelihood of the labels, each case left out in turn.
    """

    dual: Float[Tensor, "expert case way"]
    marginal: Float[Tensor, "expert"]
    left_out: Float[Tensor, "expert"]


def evidence(
    seen: Seen,
    metrics: Float[Tensor, "expert feature"],
    penalty: Float[Tensor, "expert"],
    scale: Float[Tensor, "expert"],
) -> Evidence:
    """Ridge of every expert, and how well it explains the labels.

    Every expert is a Gaussian process with a linear kernel: marginal likelihood by Rasmussen &
    Williams (2006), eq. 5.8, the amplitude maximised out; left-out predictions by eq. 5.12. A case
    of weight zero tells nothing and costs nothing.

    Args:
        seen: the support.
        metrics: weight of each squared feature.
        penalty: variance of the noise over that of the signal.
        scale: by which predicted class codes become logits.
    """
    weights, n_way = seen.members.sum(dim=1), seen.members.shape[1]
    targets = seen.members / weights.clamp_min(1e-12)[:, None] - 1 / n_way
    targets = seen.root[:, None] * targets
    rows = seen.root[:, None] * seen.z
    kernel = torch.einsum("nf,ef,mf->enm", rows, metrics, rows) / rows.shape[1]
    eye = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
    # Over the penalty, so that a row of zeros has a determinant of one.
    factor = torch.linalg.cholesky(kernel / penalty[:, None, None] + eye)
    inverse = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
    half = inverse @ targets
    dual = inverse.mT @ half / penalty[:, None, None]
    size = seen.n_cases * (n_way - 1)
    misfit = (half.square().sum(dim=(1, 2)) / penalty / size + 1e-4).log()
    volume = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    volume = volume + seen.n_cases * penalty.log()
    precision = inverse.square().sum(dim=1) / penalty[:, None]
    expected = (targets - dual / precision[:, :, None]) / seen.root.clamp_min(1e-6)[:, None]
    log_p = torch.log_softmax(expected * scale[:, None, None], dim=2)
    return Evidence(
        dual,
        -(size * misfit + (n_way - 1) * volume) / 2,
        seen.n_cases * (log_p * seen.members).sum(dim=(1, 2)),
    )


def apartness(seen: Seen) -> Float[Tensor, "feature"]:
    """Log ratio of the variances between and within classes, zero on average."""
    means = class_means(seen.z, seen.members)
    between = (means - means.mean(dim=0)).square().mean(dim=0)
    within = (seen.members.sum(dim=1) @ seen.z.square() - between).clamp_min(0)
    ratio = ((between + 0.05) / (within + 0.05)).log()
    return ratio - ratio.mean()
