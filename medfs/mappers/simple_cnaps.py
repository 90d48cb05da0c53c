"""Simple CNAPS: modulated features, Mahalanobis distances (Bateni et al., CVPR 2020)."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.theta import Film, QuadraticHead, Theta
from medfs.mappers.base import TensorMapper, class_means
from medfs.mappers.embedding import Kind
from medfs.mappers.modulation import Modulator


class SimpleCNAPS(TensorMapper):
    """Class covariances, each drawn towards that of the whole task and to the identity.

    Q_k = s_k Σ_k + (1 − s_k) Σ + β I with s_k = n_k / (n_k + 1), n_k the cases of class k;
    logits = −½ (x − μ_k)ᵀ Q_k⁻¹ (x − μ_k). The features are first modulated (FiLM) by what a set
    encoder reads from the support, which begins as no modulation at all.

    Args:
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
        self.film_channels = film_channels
        self.modulator = Modulator(n_features, width, (n_features, *film_channels))
        self.log_ridge = torch.nn.Parameter(torch.zeros(()))
        # Not in the paper: without it a strong ridge could only make all logits small.
        self.log_scale = torch.nn.Parameter(torch.zeros(()))

    def theta(self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]) -> Theta:
        steps, x = self.embedding(x, members)
        film = self.modulator(x, members)[0]
        x = film(x)
        means = class_means(x, members)
        lower = torch.linalg.cholesky(
            regularised_covariances(x, members, means, self.log_ridge.exp())
        )
        # Q = L Lᵀ, hence Q⁻¹ = R Rᵀ with R = L⁻ᵀ.
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        scaled = torch.exp(self.log_scale / 2) * eye
        roots = torch.linalg.solve_triangular(lower, scaled, upper=False).mT
        head = QuadraticHead(means, roots, torch.zeros_like(means[:, 0]))
        return Theta((*steps, film), head)

    def films(
        self, x: Float[Tensor, "case feature"], members: Float[Tensor, "case way"]
    ) -> tuple[Film, ...]:
        """Modulation of each of the encoder's stages, from unmodulated features."""
        return self.modulator(self.embedding(x, members)[1], members)[1:]


def regularised_covariances(
    x: Float[Tensor, "case feature"],
    members: Float[Tensor, "case way"],
    means: Float[Tensor, "way feature"],
    ridge: Tensor,
) -> Float[Tensor, "way feature feature"]:
    """Q_k of every class."""
    share = members / members.sum(dim=0)
    offsets = x[None] - means[:, None]
    of_class = torch.einsum("nk,knf,kng->kfg", share, offsets, offsets)
    weights = members.sum(dim=1)
    centred = x - weights @ x
    of_task = torch.einsum("n,nf,ng->fg", weights, centred, centred)
    cases = 1 / share.square().sum(dim=0)
    own = (cases / (cases + 1))[:, None, None]
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    return own * of_class + (1 - own) * of_task + ridge * eye
