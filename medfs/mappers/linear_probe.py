"""Linear probe: logistic regression on features as they are (Tian et al., ECCV 2020)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Theta
from medfs.mappers.base import TensorMapper
from medfs.mappers.embedding import Kind

# Newton's method doubles the correct digits once it is near; the rest is for the way there.
_STEPS, _HALVINGS = 20, 10


class LinearProbe(TensorMapper):
    """Multinomial logistic regression with an L2 penalty, solved to convergence.

    The baseline that few-shot methods have to beat. The penalty is scikit-learn's `C`; where the
    embedding is learned, so is the penalty, with exact gradients by the conditions that the
    solution fulfils.

    Args:
        C: inverse of the penalty, for losses that are summed over cases.
    """

    def __init__(
        self, n_features: int, embedding: Kind = "support", hidden: int = 0, C: float = 1.0
    ) -> None:
        super().__init__(n_features, embedding, hidden)
        log_penalty = torch.tensor(-math.log(C))
        if embedding == "support":
            self.register_buffer("log_penalty", log_penalty, persistent=False)
        else:
            self.log_penalty = torch.nn.Parameter(log_penalty)

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        # Of two classes scikit-learn has one row of weights where the softmax has two.
        penalty = self.log_penalty.exp() * (2 if members.shape[1] == 2 else 1)
        return Theta(steps, logistic(x, members, penalty))


def logistic(
    x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"], penalty: Tensor
) -> LinearHead:
    """argmin −Σ m log p + λ/2n |W|² over W and an unpenalised b; n is the number of equal cases.

    The rows of W are combinations of cases, W = Aᵀ x, so that the system is one of cases and
    classes however long the rows are: λ/n A = m − w p and Σ A = 0. It is solved without
    derivatives; one further step of Newton, which moves nothing, carries those of first order
    (implicit function theorem).
    """
    weights = members.sum(dim=1)
    centre = weights @ x
    # What has no weight gets no row, whatever it holds; doubles, for the solve is stiff.
    rows = torch.where(weights[:, None] > 0, x - centre, torch.zeros_like(x)).double()
    shrink = (penalty * weights.square().sum()).double()
    system = (rows @ rows.T, members.double(), shrink)
    found = _solve(*(t.detach() for t in system))
    dual, bias = _newton(*system, *found)
    weight = ((found[0] + dual).T @ rows).to(x.dtype)
    return LinearHead(weight, (found[1] + bias).to(x.dtype) - weight @ centre)


def _solve(kernel: Tensor, members: Tensor, shrink: Tensor) -> tuple[Tensor, Tensor]:
    """A and b by Newton's method; of halved steps the one that lowers the loss most."""
    dual, bias = torch.zeros_like(members), torch.zeros_like(members[0])
    lengths = 0.5 ** torch.arange(_HALVINGS, dtype=kernel.dtype, device=kernel.device)
    steps = lengths[:, None, None]
    for _ in range(_STEPS):
        more_dual, more_bias = _newton(kernel, members, shrink, dual, bias)
        tried = dual + steps * more_dual
        scores = kernel @ dual + steps * (kernel @ more_dual)
        log_p = torch.log_softmax(scores + bias + steps * more_bias, dim=2)
        losses = (shrink * tried * scores / 2 - members * log_p).sum(dim=(1, 2))
        best = torch.nn.functional.one_hot(losses.argmin(), _HALVINGS).to(kernel.dtype) @ lengths
        dual, bias = dual + best * more_dual, bias + best * more_bias
    return dual, bias


def _newton(
    kernel: Tensor, members: Tensor, shrink: Tensor, dual: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """One step; its matrix is taken as given, since at the solution it is multiplied by zero."""
    n_cases, n_way = members.shape
    weights = members.sum(dim=1)
    p = torch.softmax(kernel @ dual + bias, dim=1)
    off = torch.cat(
        [
            (shrink * dual - members + weights[:, None] * p).flatten(),
            dual.sum(dim=0) + bias.sum(),
        ]
    )
    curve = weights[:, None, None] * (torch.diag_embed(p) - p[:, :, None] * p[:, None, :])
    eye = torch.eye(n_cases * n_way, dtype=kernel.dtype, device=kernel.device)
    of_dual = torch.einsum("icd,ij->icjd", curve, kernel).reshape(n_cases * n_way, -1)
    sums = eye.new_ones(n_cases, 1, 1) * torch.eye(n_way, dtype=eye.dtype, device=eye.device)
    upper = torch.cat([shrink * eye + of_dual, curve.reshape(-1, n_way)], dim=1)
    lower = torch.cat([sums.reshape(-1, n_way).T, eye.new_ones(n_way, n_way)], dim=1)
    step = -torch.linalg.solve(torch.cat([upper, lower]).detach(), off)
    return step[:-n_way].view(n_cases, n_way), step[-n_way:]
