"""Dirichlet calibration (Kull et al., NeurIPS 2019), maximum a posteriori."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.calibration.held_out import HeldOutLogits
from medfs.calibration.posterior import Family, posterior_mode
from medfs.calibration.temperature import LogNormalPrior, fit_prior
from medfs.core.calibration import Calibration, Dirichlet


def fit_dirichlet(held_out: HeldOutLogits | None, prior: LogNormalPrior) -> Calibration:
    """A matrix and a bias for log-probabilities at the temperature that the prior expects.

    Each number of W ~ N(that of the identity, spread²), each of the bias ~ N(0, spread²): what
    Kull et al. regularise too, off the diagonal. Without held-out logits it is that temperature.
    """
    if held_out is None:
        return fit_prior(held_out, prior)
    temperature = torch.tensor(prior.median, dtype=torch.float64)
    log_p = torch.log_softmax(held_out.logits.double() / temperature, dim=1)
    numbers = posterior_mode(_family(log_p), held_out, prior.spread)
    both = numbers.reshape(log_p.shape[1], -1)
    return Dirichlet(temperature, both[:, :-1].contiguous(), both[:, -1].contiguous())


def _family(log_p: Float[Tensor, "prediction way"]) -> Family:
    way = log_p.shape[1]
    inputs = torch.cat([log_p, torch.ones_like(log_p[:, :1])], dim=1)
    eye = torch.eye(way, dtype=log_p.dtype)
    slopes = torch.einsum("kl,nj->nklj", eye, inputs).reshape(len(log_p), way, -1)

    def logits(numbers: Tensor) -> Tensor:
        return inputs @ numbers.reshape(way, way + 1).T

    start = torch.cat([eye, torch.zeros_like(eye[:, :1])], dim=1).reshape(-1)
    return Family(start, logits, lambda _: slopes)
