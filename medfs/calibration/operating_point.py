"""From held-out probabilities to decisions: how often each class is found, and a threshold."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medfs.calibration.held_out import HeldOutLogits
from medfs.core.calibration import Calibration
from medfs.core.errors import CalibrationError
from medfs.metrics.intervals import wilson


@dataclass(frozen=True, slots=True)
class Share:
    """A share of patients with Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    patients: int

    @classmethod
    def of(cls, value: float, patients: int) -> "Share":
        return cls(value, *wilson(min(max(value, 0.0), 1.0) * patients, patients), patients)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the probability of one class.

    Attributes:
        positive: the class.
        target: the sensitivity that was asked for.
        threshold: scans with at least this probability are called positive.
        sensitivity, specificity: of held-out patients at that threshold.
    """

    positive: str
    target: float
    threshold: float
    sensitivity: Share
    specificity: Share


def recalls(
    held_out: HeldOutLogits, calibration: Calibration, class_names: tuple[str, ...]
) -> dict[str, Share]:
    """For each class the share of its left-out cases to which it is the most probable one.

    Every patient counts as one in the interval, however many cases there are.
    """
    right = calibration.apply(held_out.logits).argmax(dim=1) == held_out.labels
    found = {}
    for label, name in enumerate(class_names):
        own = held_out.labels == label
        if bool(own.any()):
            share = (right[own].double() @ held_out.weights[own]) / held_out.weights[own].sum()
            found[name] = Share.of(float(share), len(set(held_out.patients[own].tolist())))
    return found


def operating_point(
    held_out: HeldOutLogits | None,
    calibration: Calibration,
    class_names: tuple[str, ...],
    positive: str,
    target: float,
) -> OperatingPoint:
    """The highest threshold that promises a sensitivity.

    With n positive patients left out, it is the k-th lowest of their probabilities, where
    k = ⌊(n + 1)(1 − target)⌋. A new positive patient of the same kind reaches it with probability
    `target`, as in split conformal prediction (Vovk et al. 2005), as far as left-out probabilities
    are like those of the final classifier. A patient's probability is the mean over left-out cases
    and folds.

    Raises:
        CalibrationError: no such class, a target outside (0, 1), or more than n can promise.
    """
    if positive not in class_names or not 0 < target < 1:
        raise CalibrationError(
            f"a sensitivity of {target:g} for {positive!r} cannot be set",
            why=f"The classes are {', '.join(class_names)}; a target lies between 0 and 1",
            todo="Give --positive CLASS --target-sensitivity 0.9",
        )
    label = class_names.index(positive)
    scores, is_positive = _by_patient(held_out, calibration, label)
    n = int(is_positive.sum())
    rank = math.floor((n + 1) * (1 - target) + 1e-9)
    if rank < 1:
        most = f"{n / (n + 1):.2f}" if n else "none"
        raise CalibrationError(
            f"a sensitivity of {target:g} cannot be promised",
            why=f"{n} patients with {positive} could be left out; they can promise at most {most}",
            todo="Lower --target-sensitivity, or add cases of that class",
        )
    threshold = float(scores[is_positive].sort().values[rank - 1])
    called = scores >= threshold
    return OperatingPoint(
        positive,
        target,
        threshold,
        _share(called[is_positive]),
        _share(~called[~is_positive]),
    )


def _by_patient(
    held_out: HeldOutLogits | None, calibration: Calibration, label: int
) -> tuple[Float[Tensor, "patient"], Bool[Tensor, "patient"]]:
    """Mean probability of a class per patient, and who has that class."""
    if held_out is None:
        return torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.bool)
    probabilities = torch.softmax(calibration.apply(held_out.logits), dim=1)[:, label].double()
    # A patient with cases of both kinds stands once on each side.
    key = held_out.patients * 2 + (held_out.labels == label)
    keys, index = torch.unique(key, return_inverse=True)
    total = torch.zeros(len(keys), dtype=torch.float64).index_add(0, index, probabilities)
    return total / torch.bincount(index), keys % 2 == 1


def _share(right: Bool[Tensor, "patient"]) -> Share:
    return Share.of(float(right.double().mean()), len(right))
