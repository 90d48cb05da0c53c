"""R2-D2: ridge regression, differentiated through (Bertinetto et al., ICLR 2019)."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import LinearHead, Theta
from medfs.mappers.base import TensorMapper
from medfs.mappers.embedding import Kind


class R2D2(TensorMapper):
    """Ridge on class codes in closed form; penalty, scale and offset of the logits are learned.

    The penalty is relative to the number of features, which keeps one value useful for encoders of
    different width. The solve is that of the smaller system, cases by cases (Woodbury).
    """

    def __init__(self, n_features: int, embedding: Kind = "population", hidden: int = 0) -> None:
        super().__init__(n_features, embedding, hidden)
        self.log_penalty = torch.nn.Parameter(torch.zeros(()))
        self.log_scale = torch.nn.Parameter(torch.tensor(1.5))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        penalty = self.log_penalty.exp() * self.n_features
        weight, bias = ridge(x, members, penalty)
        scale = self.log_scale.exp()
        return Theta(steps, LinearHead(scale * weight, scale * bias))


def ridge(
    x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"], penalty: Tensor
) -> tuple[Float[Tensor, "way feature"], Float[Tensor, "way"]]:
    """argmin Σ w |xW + b − y|² + λ/n |W|², with codes y of mean zero and an unpenalised b.

    w are the case weights (they sum to one), n = 1 / Σw² the number of cases that they amount to.
    """
    weights = members.sum(dim=1)
    root = weights.sqrt()[:, None]
    centre = weights @ x
    # A case of weight zero has no code; the floor keeps 0 / 0 out.
    codes = members / weights.clamp_min(1e-12)[:, None] - 1 / members.shape[1]
    design = root * (x - centre)
    kernel = design @ design.T
    shrink = penalty * weights.square().sum()
    eye = torch.eye(len(x), dtype=x.dtype, device=x.device)
    dual = torch.linalg.solve(kernel + shrink * eye, root * codes)
    weight = (design.T @ dual).T
    return weight, -(weight @ centre)
