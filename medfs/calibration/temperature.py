"""Temperature scaling (Guo et al., ICML 2017), maximum a posteriori."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.calibration.held_out import HeldOutLogits
from medfs.core.calibration import Calibration, Temperature

_GRID = torch.logspace(-1.5, 2.5, 401, dtype=torch.float64)


@dataclass(frozen=True)
class LogNormalPrior:
    """Prior on a temperature: log T ~ N(log `median`, `spread`²)."""

    median: float
    spread: float

    def penalty(self, temperature: Float[Tensor, "candidate"]) -> Float[Tensor, "candidate"]:
        """Minus log density, up to a constant."""
        return (temperature.log() - math.log(self.median)) ** 2 / (2 * self.spread**2)


def fit_temperature(held_out: HeldOutLogits | None, prior: LogNormalPrior) -> Float[Tensor, ""]:
    """The temperature with the highest posterior, to 1 % (the step of the search grid).

    Without held-out logits it is the prior's median. A maximum-likelihood temperature is unusable
    at these sizes: ten cases that happen to be ranked right ask for T → 0.
    """
    if held_out is None:
        return torch.tensor(prior.median, dtype=torch.float64)
    scaled = held_out.logits[None] / _GRID[:, None, None]
    log_p = torch.log_softmax(scaled, dim=2)
    picked = log_p[:, torch.arange(len(held_out.labels)), held_out.labels]
    objective = prior.penalty(_GRID) - picked @ held_out.weights
    return _GRID[int(torch.argmin(objective))]


def fit_scalar(held_out: HeldOutLogits | None, prior: LogNormalPrior) -> Calibration:
    """The temperature of `fit_temperature`, and nothing else."""
    return Temperature(fit_temperature(held_out, prior))


def fit_prior(_: HeldOutLogits | None, prior: LogNormalPrior) -> Calibration:
    """The mapper's own temperature: what the prior expects, whatever the held-out cases say."""
    return Temperature(torch.tensor(prior.median, dtype=torch.float64))


def fit_none(_: HeldOutLogits | None, __: LogNormalPrior) -> Calibration:
    """No calibration: the logits as they are."""
    return Temperature(torch.tensor(1.0, dtype=torch.float64))
