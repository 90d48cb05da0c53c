"""A model's threshold for one class, as a rule for new scans."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfs.core.classifiers import CalibratedClassifier
from medfs.core.errors import IntegrityError
from medfs.core.features import Features
from medfs.export.model_folder import ModelContent


@dataclass(frozen=True, eq=False)
class Decision:
    """Scans with at least `threshold` for a class are called positive.

    Attributes:
        positive: the class.
        label: its position among the classes.
        threshold: on the probability at even prevalence, at which it was found: how common the
            class is elsewhere shifts probabilities, not who is called positive.
        target: the sensitivity that it was made for.
        calibrated: the classifier at even prevalence.
    """

    positive: str
    label: int
    threshold: float
    target: float
    calibrated: CalibratedClassifier

    def of(self, features: Features) -> str:
        """The class, or `not` and the class, for one row of features."""
        probability = float(self.calibrated.predict_proba(features)[0, self.label])
        return self.positive if probability >= self.threshold else f"not {self.positive}"

    def described(self) -> dict[str, Any]:
        """For JSON."""
        return {"positive": self.positive, "threshold": self.threshold, "target": self.target}

    def in_words(self) -> str:
        """What the column means, in one sentence."""
        return (
            f"decision: {self.positive} from a probability of {self.threshold:.3f} at even "
            f"prevalence, chosen to find {self.target:.0%} of patients with {self.positive}, if "
            "they are like the labelled ones"
        )


def read_decision(content: ModelContent, model: Path) -> Decision | None:
    """The rule of a model; None where it was adapted without `--target-sensitivity`.

    Raises:
        IntegrityError: the model's threshold is not one that medfs writes.
    """
    point = content.settings.get("operating_point")
    if point is None:
        return None
    names = content.calibrated.class_names
    if not isinstance(point, Mapping) or point.get("positive") not in names:
        raise IntegrityError("its operating point is for no class of the model", case=str(model))
    threshold, target = (_share(point.get(key), model) for key in ("threshold", "target"))
    positive = str(point["positive"])
    return Decision(positive, names.index(positive), threshold, target, content.calibrated)


def _share(value: object, model: Path) -> float:
    if isinstance(value, float) and math.isfinite(value) and 0 <= value <= 1:
        return value
    raise IntegrityError("its operating point is not within 0 and 1", case=str(model))
