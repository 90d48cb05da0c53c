"""MetaOptNet: a support vector machine, differentiated through (Lee et al., CVPR 2019)."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Theta
from medfs.mappers.base import TensorMapper
from medfs.mappers.embedding import Kind

# The path to the solution, and how near complementarity comes to zero on it.
_STEPS, _CLOSE = 40, 1e-9
# Of the way to the border, how far a step may go.
_INSIDE = 0.99


class SVM(TensorMapper):
    """The multi-class machine of Crammer & Singer (JMLR 2, 2001), without offset, as in the paper.

    Learned are the price of a violated margin and the scale of the logits. The quadratic program
    is solved by an interior-point method of a fixed number of steps.
    """

    def __init__(self, n_features: int, embedding: Kind = "population", hidden: int = 0) -> None:
        super().__init__(n_features, embedding, hidden)
        # Where it starts: C of the paper.
        self.log_price = torch.nn.Parameter(torch.tensor(0.1).log())
        self.log_scale = torch.nn.Parameter(torch.tensor(1.0))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        weight = self.log_scale.exp() * crammer_singer(x, members, self.log_price.exp())
        return Theta(steps, LinearHead(weight, torch.zeros_like(weight[:, 0])))


def crammer_singer(
    x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"], price: Tensor
) -> Float[Tensor, "way feature"]:
    """argmin ½ |W|² + C n Σ w max_k (W_k x + 1 − W_y x, 0 for k = y); n: number of equal cases.

    In the dual every case shares what it may spend, s = C n w, among the classes, β ≥ 0 with
    Σ_k β_k = s, and W = (s y − β)ᵀ x. Derivatives of first order by the conditions of optimality:
    one further step of Newton, which moves nothing, carries them.
    """
    weights = members.sum(dim=1)
    counts = weights > 0
    rows = torch.where(counts[:, None], x, torch.zeros_like(x)).double()
    # A row of zeros may spend what it likes; one that could spend nothing would have no inside.
    spend = torch.where(counts, price * weights / weights.square().sum(), 1.0).double()
    own = (members / weights.clamp_min(1e-12)[:, None]).double()
    kernel = rows @ rows.T
    found = _solve(kernel.detach(), spend.detach(), own.detach())
    shares = found[0] + _newton(kernel, spend, own, *found, found[0] * found[1])[0]
    return ((spend[:, None] * own - shares).T @ rows).to(x.dtype)


def _solve(kernel: Tensor, spend: Tensor, own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """β, its slack and the multipliers of its sums, along the central path."""
    n_way = own.shape[1]
    shares = (spend[:, None] / n_way).expand(-1, n_way)
    slack = torch.ones_like(own)
    level = torch.zeros_like(spend)
    for _ in range(_STEPS):
        aim = (0.1 * (shares * slack).mean()).clamp_min(_CLOSE * spend.amin())
        more = _newton(kernel, spend, own, shares, slack, level, aim)
        step = torch.minimum(_inside(shares, more[0]), _inside(slack, more[1]))
        shares, slack = shares + step * more[0], slack + step * more[1]
        level = level + step * more[2]
    return shares, slack, level


def _inside(value: Tensor, more: Tensor) -> Tensor:
    """The longest step, at most one, that keeps a positive value positive."""
    shrinking = (-more / value).amax()
    return _INSIDE / torch.maximum(shrinking, torch.full_like(shrinking, _INSIDE))


def _newton(
    kernel: Tensor,
    spend: Tensor,
    own: Tensor,
    shares: Tensor,
    slack: Tensor,
    level: Tensor,
    aim: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step towards β · slack = aim, the other conditions linear; its matrix is constant."""
    slope = kernel @ (shares - spend[:, None] * own) + own - level[:, None] - slack
    missing = spend - shares.sum(dim=1)
    pull = aim / shares - slack
    hessian = kernel.detach() + torch.diag_embed((slack / shares).T)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    free = torch.einsum("kij,jk->ik", inverse, pull - slope)
    more_level = torch.linalg.solve(inverse.sum(dim=0), missing - free.sum(dim=1))
    more = free + torch.einsum("kij,j->ik", inverse, more_level)
    return more, pull - slack / shares * more, more_level
