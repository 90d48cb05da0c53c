"""ROC and precision-recall curves with intervals at each point."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from medfs.metrics.checks import check_scores
from medfs.metrics.intervals import wilson, wilson_weighted


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """One point per threshold, from "nobody" (0, 0) to "everybody" (1, 1).

    Attributes:
        thresholds: cases with at least this score count as positive; the first is infinite.
        sensitivity: share of positives at or above the threshold, with Wilson's 95 % limits.
        false_alarms: share of negatives at or above it, with the same.
    """

    thresholds: Float[np.ndarray, "point"]
    sensitivity: Float[np.ndarray, "point"]
    sensitivity_limits: Float[np.ndarray, "point 2"]
    false_alarms: Float[np.ndarray, "point"]
    false_alarms_limits: Float[np.ndarray, "point 2"]


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecallCurve:
    """One point per threshold that somebody reaches, from the strictest to the loosest.

    Attributes:
        recall: the sensitivity.
        precision: share of positives among those at or above the threshold, with Wilson's limits;
            at the prevalence of these cases, as they are weighted.
    """

    thresholds: Float[np.ndarray, "point"]
    recall: Float[np.ndarray, "point"]
    precision: Float[np.ndarray, "point"]
    precision_limits: Float[np.ndarray, "point 2"]


def roc_curve(scores: Float[np.ndarray, "case"], positive: Bool[np.ndarray, "case"]) -> RocCurve:
    """The ROC curve; every distinct score is a point.

    Raises:
        ValueError: one of the classes is absent.
    """
    thresholds, hits, alarms = _counts(scores, positive, np.ones(len(positive)))
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    return RocCurve(
        thresholds,
        hits / n_positive,
        _limits(hits, n_positive),
        alarms / n_negative,
        _limits(alarms, n_negative),
    )


def precision_recall_curve(
    scores: Float[np.ndarray, "case"],
    positive: Bool[np.ndarray, "case"],
    weights: Float[np.ndarray, "case"] | None = None,
) -> PrecisionRecallCurve:
    """The precision-recall curve; every distinct score is a point.

    Args:
        scores: higher for positives.
        positive: which cases are.
        weights: positive; all alike if None. Limits then rest on Kish's effective number of cases.

    Raises:
        ValueError: one of the classes is absent.
    """
    w = np.ones(len(positive)) if weights is None else weights
    thresholds, hits, alarms = (part[1:] for part in _counts(scores, positive, w))
    _, squared_hits, squared_alarms = (part[1:] for part in _counts(scores, positive, w**2))
    called = hits + alarms
    effective = called**2 / (squared_hits + squared_alarms)
    limits = [wilson_weighted(*row) for row in zip(hits / called, effective, strict=True)]
    return PrecisionRecallCurve(
        thresholds, hits / w[positive].sum(), hits / called, np.array(limits)
    )


def _counts(
    scores: Float[np.ndarray, "case"],
    positive: Bool[np.ndarray, "case"],
    weights: Float[np.ndarray, "case"],
) -> tuple[Float[np.ndarray, "point"], ...]:
    """Thresholds in falling order, weights of the positives and negatives at or above each."""
    check_scores(scores, len(positive))
    if positive.all() or not positive.any():
        raise ValueError("a curve needs cases of both classes")
    thresholds = np.unique(scores)[::-1]
    reached = scores[None] >= thresholds[:, None]
    hits, alarms = (reached & positive) @ weights, (reached & ~positive) @ weights
    return np.r_[np.inf, thresholds], np.r_[0.0, hits], np.r_[0.0, alarms]


def _limits(counts: Float[np.ndarray, "point"], n: int) -> Float[np.ndarray, "point 2"]:
    return np.array([wilson(int(count), n) for count in counts])
