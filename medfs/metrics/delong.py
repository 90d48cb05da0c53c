"""DeLong's interval of an AUROC, for comparison: it takes the scores of one classifier as given."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtri
from scipy.stats import rankdata


def delong(
    scores: Float[np.ndarray, "case"], positive: Bool[np.ndarray, "case"]
) -> tuple[float, float]:
    """AUROC and its variance (DeLong, DeLong & Clarke-Pearson, Biometrics 1988).

    By mid-ranks (Sun & Xu, IEEE Signal Processing Letters 2014). The variance is zero where every
    pair is ranked right.

    Raises:
        ValueError: fewer than two cases of either class.
    """
    above, below = scores[positive], scores[~positive]
    m, n = len(above), len(below)
    if min(m, n) < 2:
        raise ValueError(f"{m} positive and {n} negative cases; two of each are needed")
    ranks = rankdata(np.concatenate([above, below]))
    of_positive = (ranks[:m] - rankdata(above)) / n
    of_negative = 1 - (ranks[m:] - rankdata(below)) / m
    variance = of_positive.var(ddof=1) / m + of_negative.var(ddof=1) / n
    return float(of_positive.mean()), float(variance)


def delong_interval(
    scores: Float[np.ndarray, "case"], positive: Bool[np.ndarray, "case"], level: float = 0.95
) -> tuple[float, float]:
    """The normal interval on the scale of the AUROC, cut at 0 and 1."""
    mean, variance = delong(scores, positive)
    half = float(ndtri((1 + level) / 2)) * np.sqrt(variance)
    return max(0.0, mean - half), min(1.0, mean + half)
