"""How well the classifier ranks, judged on its own support by leaving pairs out."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from medfs.core.episodes import SupportSet
from medfs.core.folds import leave_pair_out
from medfs.core.mapping import Mapper
from medfs.metrics.intervals import learner_auroc

# Each pair costs one run of the mapper; more of them hardly narrow the estimate.
_PAIRS_PER_CLASS_PAIR = 400


@dataclass(frozen=True, slots=True)
class PairwiseEstimate:
    """AUROC of class `second` against class `first`, with a 95 % interval over patients."""

    first: str
    second: str
    auroc: float
    low: float
    high: float
    n_first: int
    n_second: int


@dataclass(frozen=True, slots=True)
class SupportPerformance:
    """The mean over pairs of classes (Hand & Till 2001), and each pair by itself.

    The limits of the mean are the means of the pairs' limits: as wide as if all pairs erred
    together, since they share their patients.
    """

    auroc: float
    low: float
    high: float
    pairs: tuple[PairwiseEstimate, ...]


def leave_pair_out_auroc(
    support: SupportSet, mapper: Mapper, seed: int
) -> SupportPerformance | None:
    """AUROC by leaving out one patient of each of two classes at a time (Airola et al. 2011).

    The mapper runs anew on the rest, and the pair counts as ranked right if the difference of their
    two logits says so. The interval allows for the learner (`metrics.intervals.learner_auroc`),
    with the number of patients as sample size; it does not collapse where every pair is ranked
    right.

    Returns:
        None where some class has a single patient.
    """
    pairs = []
    for a, b in combinations(range(support.n_way), 2):
        estimate = _class_pair(support, mapper, a, b, seed)
        if estimate is None:
            return None
        pairs.append(estimate)
    mean = float(np.mean([p.auroc for p in pairs]))
    low, high = float(np.mean([p.low for p in pairs])), float(np.mean([p.high for p in pairs]))
    return SupportPerformance(mean, low, high, tuple(pairs))


def _class_pair(
    support: SupportSet, mapper: Mapper, a: int, b: int, seed: int
) -> PairwiseEstimate | None:
    pairs = leave_pair_out(
        support.labels.tolist(), support.patients.tolist(), a, b, _PAIRS_PER_CLASS_PAIR, seed
    )
    if not pairs:
        return None
    ranked = [_ranked_right(support, mapper, (a, b), pair) for pair in pairs]
    auroc = float(np.mean(ranked))
    n_a, n_b = len(support.patients_of(a)), len(support.patients_of(b))
    low, high = learner_auroc(auroc, n_b, n_a)
    names = support.class_names
    return PairwiseEstimate(names[a], names[b], auroc, low, high, n_a, n_b)


def _ranked_right(
    support: SupportSet, mapper: Mapper, classes: tuple[int, int], pair: tuple[int, int]
) -> float:
    """Share of the pair's case pairs in which the case of the second class scores higher."""
    classifier = mapper(support.without_patients(pair))
    scores = []
    for label, patient in zip(classes, pair, strict=True):
        chosen = (support.labels == label) & (support.patients == patient)
        logits = classifier.logits(support.features[chosen])
        scores.append(logits[:, classes[1]] - logits[:, classes[0]])
    gaps = scores[1][:, None] - scores[0][None, :]
    return float(torch.where(gaps == 0, 0.5, (gaps > 0).double()).mean())
