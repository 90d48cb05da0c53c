"""How well scores separate classes.

Every metric comes twice: for one data set, and for many bootstrap replicates of it at once, each a
row of `weights` that says how often every case counts.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from medfs.metrics.checks import check_probabilities, check_scores


def auroc(
    scores: Float[np.ndarray, "case"],
    positive: Bool[np.ndarray, "case"],
    weights: Float[np.ndarray, "case"] | None = None,
) -> float:
    """Area under the ROC curve: P(positive scores above negative), ties counting ½.

    Equals the Mann–Whitney statistic divided by the number of pairs (Hanley & McNeil 1982).

    Args:
        scores: any monotone score; not NaN.
        positive: which cases are positive.
        weights: how often each case counts; 1 each by default.

    Returns:
        A number in [0, 1]; NaN if either class is absent or weighs nothing.
    """
    return float(auroc_replicates(scores, positive, _row(weights, len(scores)))[0])


def auroc_replicates(
    scores: Float[np.ndarray, "case"],
    positive: Bool[np.ndarray, "case"],
    weights: Float[np.ndarray, "replicate case"],
) -> Float[np.ndarray, "replicate"]:
    """`auroc` under each row of weights, in O(replicate · case)."""
    check_scores(scores, len(positive))
    order = np.argsort(scores, kind="stable")
    ordered, is_positive = scores[order], positive.astype(bool)[order]
    tie_starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    weights = weights[:, order]
    above = np.add.reduceat(weights * is_positive, tie_starts, axis=1)
    level = np.add.reduceat(weights * ~is_positive, tie_starts, axis=1)
    below = np.cumsum(level, axis=1) - level
    wins = (above * (below + level / 2)).sum(axis=1)
    return _ratio(wins, above.sum(axis=1) * level.sum(axis=1))


def macro_auroc(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    weights: Float[np.ndarray, "case"] | None = None,
) -> float:
    """Unweighted mean over classes of the one-vs-rest AUROC; for two classes, that of column 1.

    Equals scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`.

    Returns:
        A number in [0, 1]; NaN if any class is absent.
    """
    return float(macro_auroc_replicates(probabilities, labels, _row(weights, len(labels)))[0])


def macro_auroc_replicates(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    weights: Float[np.ndarray, "replicate case"],
) -> Float[np.ndarray, "replicate"]:
    """`macro_auroc` under each row of weights."""
    check_probabilities(probabilities, labels)
    # Column 0 of two would only repeat column 1, but for rounding.
    columns = range(probabilities.shape[1]) if probabilities.shape[1] > 2 else (1,)
    each = [auroc_replicates(probabilities[:, c], labels == c, weights) for c in columns]
    return np.mean(each, axis=0)


def balanced_accuracy(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    weights: Float[np.ndarray, "case"] | None = None,
) -> float:
    """Mean recall of the classes present, when the most probable class is predicted.

    Of equally probable classes the first one is predicted.
    """
    return float(balanced_accuracy_replicates(probabilities, labels, _row(weights, len(labels)))[0])


def balanced_accuracy_replicates(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    weights: Float[np.ndarray, "replicate case"],
) -> Float[np.ndarray, "replicate"]:
    """`balanced_accuracy` under each row of weights; NaN where all weights are zero."""
    check_probabilities(probabilities, labels)
    belongs = (labels[:, None] == np.arange(probabilities.shape[1])).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels)[:, None]
    counts = weights @ belongs
    recalls = _ratio(weights @ (belongs * correct), counts)
    present = counts > 0
    return _ratio(np.where(present, recalls, 0).sum(axis=1), present.sum(axis=1).astype(np.float64))


def _row(weights: Float[np.ndarray, "case"] | None, count: int) -> Float[np.ndarray, "1 case"]:
    return np.ones((1, count)) if weights is None else np.asarray(weights, np.float64)[None]


def _ratio(
    numerator: Float[np.ndarray, "*shape"], denominator: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Quotient, NaN where there is nothing to divide by."""
    empty = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=empty, where=denominator > 0)
