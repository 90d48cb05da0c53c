"""Vector scaling (Guo et al., ICML 2017), maximum a posteriori."""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.calibration.held_out import HeldOutLogits
from medfs.calibration.posterior import Family, posterior_mode
from medfs.calibration.temperature import LogNormalPrior, fit_prior
from medfs.core.calibration import Calibration, VectorScaling, centred


def fit_vector(held_out: HeldOutLogits | None, prior: LogNormalPrior) -> Calibration:
    """A scale and a bias for each class, about the temperature that the prior expects.

    log scale ~ N(0, spread²) and bias ~ N(0, spread²) for each class. Without held-out logits it
    is that temperature.
    """
    if held_out is None:
        return fit_prior(held_out, prior)
    temperature = torch.tensor(prior.median, dtype=torch.float64)
    z = centred(held_out.logits.double() / temperature)
    scale, bias = posterior_mode(_family(z), held_out, prior.spread).chunk(2)
    return VectorScaling(temperature, scale.exp(), bias)


def _family(z: Float[Tensor, "prediction way"]) -> Family:
    way = z.shape[1]
    eye = torch.eye(way, dtype=z.dtype)

    def logits(numbers: Tensor) -> Tensor:
        return numbers[:way].exp() * z + numbers[way:]

    def slopes(numbers: Tensor) -> Tensor:
        by_scale = (numbers[:way].exp() * z)[:, :, None] * eye
        return torch.cat([by_scale, eye.expand(len(z), way, way)], dim=2)

    return Family(torch.zeros(2 * way, dtype=z.dtype), logits, slopes)
