"""θ as a value: what a mapper returns, and the same with calibrated probabilities."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import UsageError
from medfs.core.features import Features


@dataclass(frozen=True, slots=True, eq=False)
class Standardizer:
    """(x − mean) / scale, per feature, clipped at ±limit. A feature that never varied has scale 1.

    The limit is what makes statistics of a few cases usable: of two cases, any feature in which
    they happen to agree has a tiny scale, and would drown all others in the next scan.
    """

    mean: Float[Tensor, "feature"]
    scale: Float[Tensor, "feature"]
    limit: Float[Tensor, ""]

    def __call__(self, x: Float[Tensor, "case feature"]) -> Float[Tensor, "case feature"]:
        return torch.minimum(torch.maximum((x - self.mean) / self.scale, -self.limit), self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """logits = x Wᵀ + b."""

    weight: Float[Tensor, "way feature"]
    bias: Float[Tensor, "way"]

    def __call__(self, x: Float[Tensor, "case feature"]) -> Float[Tensor, "case way"]:
        return x @ self.weight.T + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """θ = M_φ(S): everything needed to turn features into logits. Nothing in it is mutated.

    Attributes:
        encoders: identities of the encoders whose blocks it reads, in that order.
        class_names: in the order of the logits.
    """

    encoders: tuple[str, ...]
    standardizer: Standardizer
    head: LinearHead
    class_names: tuple[str, ...]

    def logits(self, features: Features) -> Float[Tensor, "case way"]:
        if features.identities != self.encoders:
            raise UsageError(
                "these features come from another encoder than the classifier's",
                why=f"It reads {', '.join(self.encoders)}, given {', '.join(features.identities)}",
            )
        x = features.joined().to(self.head.weight.dtype)
        return self.head(self.standardizer(x))


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedClassifier:
    """A classifier with its logits divided by a temperature before the softmax (Guo 2017)."""

    classifier: Classifier
    temperature: Float[Tensor, ""]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classifier.class_names

    def predict_proba(self, features: Features) -> Float[Tensor, "case way"]:
        return torch.softmax(self.classifier.logits(features) / self.temperature, dim=1)
