"""A classifier as a value: what a mapper returns, and the same with calibrated probabilities."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.calibration import Calibration
from medfs.core.errors import UsageError
from medfs.core.features import Features
from medfs.core.theta import Theta


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """θ = M_φ(S): everything needed to turn features into logits. Nothing in it is mutated.

    Attributes:
        encoders: identities of the encoders whose blocks it reads, in that order.
        theta: the numbers.
        class_names: in the order of the logits.
    """

    encoders: tuple[str, ...]
    theta: Theta
    class_names: tuple[str, ...]

    def logits(self, features: Features) -> Float[Tensor, "case way"]:
        if features.identities != self.encoders:
            raise UsageError(
                "these features come from another encoder than the classifier's",
                why=f"It reads {', '.join(self.encoders)}, given {', '.join(features.identities)}",
            )
        return self.theta(features.joined().to(self.theta.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedClassifier:
    """A classifier whose logits are calibrated before the softmax.

    Attributes:
        classifier: θ.
        calibration: of its logits.
        prevalence: how common each class is where it is used; None where classes are alike, as
            they are weighed in fitting.
    """

    classifier: Classifier
    calibration: Calibration
    prevalence: Float[Tensor, "way"] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classifier.class_names

    @property
    def temperature(self) -> Float[Tensor, ""]:
        return self.calibration.temperature

    def at_prevalence(self, prevalence: Float[Tensor, "way"]) -> "CalibratedClassifier":
        """The same for a place where classes are not equally common, by Bayes' rule.

        log p(class | scan) gains log `prevalence`, less the logarithm of the balance in fitting,
        which is the same for all classes (Saerens et al. 2002, eq. 2.4).
        """
        return replace(self, prevalence=prevalence)

    def predict_proba(self, features: Features) -> Float[Tensor, "case way"]:
        return self._calibrate(self.classifier.logits(features))

    def probabilities(self, x: Float[Tensor, "case feature"]) -> Float[Tensor, "case way"]:
        """The same from blocks that are joined already: for graphs, in which nothing is checked."""
        return self._calibrate(self.classifier.theta(x.to(self.classifier.theta.dtype)))

    def _calibrate(self, logits: Float[Tensor, "case way"]) -> Float[Tensor, "case way"]:
        scores = self.calibration.apply(logits)
        if self.prevalence is not None:
            scores = scores + self.prevalence.log()
        return torch.softmax(scores, dim=1)
