"""What every metric asks of its arguments."""

import numpy as np
from jaxtyping import Float, Int


def check_scores(scores: Float[np.ndarray, "..."], count: int) -> None:
    """ValueError unless there is one number, and no NaN, for each of at least one case."""
    if count == 0 or len(scores) != count:
        raise ValueError(f"{len(scores)} rows of scores for {count} cases")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN: no order and no probability can be read from them")


def check_probabilities(
    probabilities: Float[np.ndarray, "case way"], labels: Int[np.ndarray, "case"]
) -> None:
    """ValueError unless the rows are probabilities and every label names a column."""
    check_distributions(probabilities)
    check_scores(probabilities, len(labels))
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be in 0 … {probabilities.shape[1] - 1}")


def check_distributions(probabilities: Float[np.ndarray, "case way"]) -> None:
    """ValueError unless every row lies in [0, 1] and sums to 1, up to float32's rounding."""
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(f"probabilities of shape (case, way ≥ 2), got {probabilities.shape}")
    check_scores(probabilities, len(probabilities))
    outside = probabilities.min() < 0 or probabilities.max() > 1 + 1e-5
    if outside or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-4:
        raise ValueError("rows are no probabilities: they must lie in [0, 1] and sum to 1")
