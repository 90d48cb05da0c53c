"""Decision-curve analysis: what acting on the probabilities would be worth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit per case, in units of one true positive.

    Attributes:
        thresholds: probability from which one would act; its odds are what a false alarm costs.
        model: of acting on the model.
        everybody: of acting on all cases; acting on none is worth nothing.
    """

    thresholds: Float[np.ndarray, "point"]
    model: Float[np.ndarray, "point"]
    everybody: Float[np.ndarray, "point"]


def decision_curve(
    probabilities: Float[np.ndarray, "case"],
    positive: Bool[np.ndarray, "case"],
    thresholds: Float[np.ndarray, "point"],
    prevalence: float | None = None,
    weights: Float[np.ndarray, "case"] | None = None,
) -> DecisionCurve:
    """Net benefit TP/n − FP/n · t / (1 − t) (Vickers & Elkin, Medical Decision Making 2006).

    Args:
        probabilities: of the positive class, for cases that the model has not seen.
        positive: which cases are positive.
        thresholds: within [0, 1).
        prevalence: of the positive class where the model will be used; that of these cases if None.
        weights: of the cases, for the mix of classes among those that are not positive.

    Raises:
        ValueError: a class is absent, or a threshold or the prevalence is out of range.
    """
    if positive.all() or not positive.any():
        raise ValueError("a decision curve needs cases of both classes")
    share = float(positive.mean()) if prevalence is None else prevalence
    if not 0 < share < 1 or not ((thresholds >= 0) & (thresholds < 1)).all():
        raise ValueError("thresholds lie within [0, 1), the prevalence within (0, 1)")
    cost = thresholds / (1 - thresholds)
    acted = probabilities[None] >= thresholds[:, None]
    w = np.ones(len(positive)) if weights is None else weights
    sensitivity, alarms = (acted[:, s] @ w[s] / w[s].sum() for s in (positive, ~positive))
    return DecisionCurve(
        thresholds,
        share * sensitivity - (1 - share) * alarms * cost,
        share - (1 - share) * cost,
    )
