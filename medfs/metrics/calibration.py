"""Whether predicted probabilities mean what they say."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from medfs.metrics.checks import check_distributions, check_probabilities


def nll(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    weights: Float[np.ndarray, "case"] | None = None,
) -> float:
    """Mean negative log-likelihood of the labels, in nats (log loss)."""
    return float(np.average(nll_per_case(probabilities, labels), weights=weights))


def nll_per_case(
    probabilities: Float[np.ndarray, "case way"], labels: Int[np.ndarray, "case"]
) -> Float[np.ndarray, "case"]:
    """−log p(label). Probabilities below float64's epsilon count as epsilon, so it stays finite."""
    check_probabilities(probabilities, labels)
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(chosen, np.finfo(np.float64).eps, 1))


def brier(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    weights: Float[np.ndarray, "case"] | None = None,
) -> float:
    """Mean over cases of the sum over classes of (p − y)² (Brier 1950): 0 is best, 2 is worst.

    This is Brier's own convention, the same for any number of classes. For two classes it is twice
    the form (p₁ − y)² that many tools print: always answering ½ scores 0.5 here, 0.25 there.
    """
    return float(np.average(brier_per_case(probabilities, labels), weights=weights))


def brier_per_case(
    probabilities: Float[np.ndarray, "case way"], labels: Int[np.ndarray, "case"]
) -> Float[np.ndarray, "case"]:
    """Sum over classes of the squared difference between prediction and truth."""
    check_probabilities(probabilities, labels)
    truth = labels[:, None] == np.arange(probabilities.shape[1])
    return ((probabilities - truth) ** 2).sum(axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Cases binned by confidence, the probability of the predicted class.

    Bin b holds the confidences in (edges[b], edges[b + 1]]. Means are NaN where a bin is empty.
    Where cases have weights, `weight` is their sum in each bin and `effective` Kish's number of
    cases that would say as much with equal weights; else both are `count`.
    """

    edges: Float[np.ndarray, "edge"]
    count: Int[np.ndarray, "bin"]
    weight: Float[np.ndarray, "bin"]
    effective: Float[np.ndarray, "bin"]
    confidence: Float[np.ndarray, "bin"]
    accuracy: Float[np.ndarray, "bin"]

    @property
    def ece(self) -> float:
        """Mean over cases of |accuracy − confidence| of their bin."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(np.average(gaps, weights=self.weight[filled]))


def reliability_table(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    bins: int = 10,
    weights: Float[np.ndarray, "case"] | None = None,
) -> Reliability:
    """Confidence against accuracy in `bins` equal-width bins of [0, 1].

    Args:
        probabilities: rows summing to 1.
        labels: columns.
        bins: how many.
        weights: positive; all alike if None.
    """
    check_probabilities(probabilities, labels)
    edges = np.linspace(0, 1, bins + 1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    w = np.ones(len(labels)) if weights is None else weights
    weight, squares, said, right = (
        np.bincount(place, weights=part, minlength=bins)
        for part in (w, w**2, w * confidence, w * correct)
    )
    divisor = np.where(weight > 0, weight, np.nan)
    return Reliability(
        edges,
        np.bincount(place, minlength=bins),
        weight,
        weight**2 / np.where(weight > 0, squares, 1.0),
        said / divisor,
        right / divisor,
    )


def ece(
    probabilities: Float[np.ndarray, "case way"],
    labels: Int[np.ndarray, "case"],
    bins: int = 10,
    weights: Float[np.ndarray, "case"] | None = None,
) -> float:
    """Expected calibration error of the predicted class, equal-width bins (Guo et al. 2017).

    With few cases it is far from zero even for a perfect predictor: read it beside `ece_floor`.
    """
    return reliability_table(probabilities, labels, bins, weights).ece


def ece_floor(
    probabilities: Float[np.ndarray, "case way"],
    seed: int | np.random.SeedSequence,
    redraws: int = 1,
    bins: int = 10,
    class_weights: Float[np.ndarray, "way"] | None = None,
) -> float:
    """The ECE that a perfectly calibrated predictor with these probabilities would show.

    Every label is drawn from its own predicted probabilities; the ECE of these labels is pure
    sampling noise (consistency resampling, Bröcker & Smith 2007).

    Args:
        probabilities: rows summing to 1.
        seed: of the generator that draws the labels.
        redraws: how often all labels are drawn; the mean ECE is returned.
        bins: as in `ece`.
        class_weights: what a case of each class weighs, where the probabilities are meant for
            another mix of classes than the cases'.
    """
    if redraws < 1:
        raise ValueError(f"redraws must be at least 1, got {redraws}")
    way = probabilities.shape[1]
    by_class = np.ones(way) if class_weights is None else class_weights
    drawn = drawn_labels(probabilities, np.random.default_rng(seed), redraws, by_class)
    return float(np.mean([ece(probabilities, y, bins, by_class[y]) for y in drawn]))


def drawn_labels(
    probabilities: Float[np.ndarray, "case way"],
    rng: np.random.Generator,
    redraws: int,
    class_weights: Float[np.ndarray, "way"],
) -> Int[np.ndarray, "redraw case"]:
    """Labels as a perfect predictor would meet them in a sample whose cases get these weights.

    A class that counts w-fold is w times rarer in the sample than where the probabilities are
    meant for, so it is drawn in proportion to p / w.
    """
    check_distributions(probabilities)
    here = probabilities / class_weights
    # The last column is left out: rounding must not push a draw beyond it.
    steps = np.cumsum(here / here.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    draws = rng.random((redraws, len(probabilities), 1))
    return np.asarray((draws > steps).sum(axis=2))
