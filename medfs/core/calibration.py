"""From logits to honest log-scores: small values that hold their tensors, like the parts of θ.

All of them start from the logits at one temperature. Plain torch, so that `torch.export` goes
through it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Logits = Float[Tensor, "case way"]


@runtime_checkable
class Calibration(Protocol):
    """Logits to logits whose softmax are probabilities that mean what they say."""

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """What logits are divided by before anything else."""
        ...

    def apply(self, logits: Logits) -> Logits: ...


@dataclass(frozen=True, slots=True, eq=False)
class Temperature:
    """z / T (Guo et al., ICML 2017). T = 1 leaves the logits alone."""

    temperature: Float[Tensor, ""]

    def apply(self, logits: Logits) -> Logits:
        return logits / self.temperature


@dataclass(frozen=True, slots=True, eq=False)
class VectorScaling:
    """scale ⊙ (z − mean of z) / T + bias (Guo et al. 2017); with two classes it is Platt's (1999).

    The mean over classes is taken away first: a softmax does not see it, a scale per class would.
    """

    temperature: Float[Tensor, ""]
    scale: Float[Tensor, "way"]
    bias: Float[Tensor, "way"]

    def apply(self, logits: Logits) -> Logits:
        return self.scale * centred(logits / self.temperature) + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Dirichlet:
    """W log softmax(z / T) + bias (Kull et al., NeurIPS 2019)."""

    temperature: Float[Tensor, ""]
    weight: Float[Tensor, "way way"]
    bias: Float[Tensor, "way"]

    def apply(self, logits: Logits) -> Logits:
        return torch.log_softmax(logits / self.temperature, dim=1) @ self.weight.T + self.bias


def centred(logits: Logits) -> Logits:
    """The same after a softmax, with mean 0 over classes."""
    return logits - logits.mean(dim=1, keepdim=True)


# What the tensors of each kind are, as axes: w way.
CALIBRATIONS: dict[str, tuple[type, dict[str, str]]] = {
    "temperature": (Temperature, {"temperature": ""}),
    "vector": (VectorScaling, {"temperature": "", "scale": "w", "bias": "w"}),
    "dirichlet": (Dirichlet, {"temperature": "", "weight": "ww", "bias": "w"}),
}


def calibration_kind(calibration: Calibration) -> str:
    """The name of a calibration, as model files know it."""
    return next(n for n, (kind, _) in CALIBRATIONS.items() if type(calibration) is kind)


def calibration_tensors(calibration: Calibration) -> dict[str, Tensor]:
    """Its tensors by field."""
    return {
        name: getattr(calibration, name) for name in CALIBRATIONS[calibration_kind(calibration)][1]
    }
