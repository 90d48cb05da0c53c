"""Would more cases help? Smaller supports drawn from this one."""

from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import t as student

from medfs.core.episodes import SupportSet
from medfs.core.mapping import Mapper
from medfs.metrics.discrimination import auroc

_REPEATS, _SIZES, _LEAST = 16, 4, 2


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Mean AUROC of the pairs of classes, on patients that no size has seen.

    Attributes:
        patients: per class, for each size, smallest first.
        aurocs: for each size.
        change: from the smallest to the largest, with its 95 % interval.
    """

    patients: tuple[int, ...]
    aurocs: tuple[float, ...]
    change: float
    low: float
    high: float


def learning_curve(support: SupportSet, mapper: Mapper, seed: int) -> LearningCurve | None:
    """AUROC at growing numbers of patients per class, each size holding the smaller ones.

    A quarter of the patients of each class is put aside to judge all sizes alike, anew in every
    repeat. Repeats share patients: the interval of the change takes as many of them for independent
    as there are disjoint parts to put aside.

    Returns:
        None where the smallest class has fewer than five patients, or patients have cases of
        several classes.
    """
    classes = [np.array(sorted(support.patients_of(label))) for label in range(support.n_way)]
    smallest = min(map(len, classes))
    shared = sum(map(len, classes)) != len(np.unique(np.concatenate(classes)))
    aside = max(1, smallest // 4)
    if smallest < 5 or shared:
        return None
    sizes = _sizes(smallest - aside)
    rng = np.random.default_rng(seed)
    rows = [_repeat(support, mapper, classes, sizes, aside, rng) for _ in range(_REPEATS)]
    found = np.array(rows)
    change = found[:, -1] - found[:, 0]
    parts = max(2, smallest // aside)
    half = float(student.ppf(0.975, parts - 1)) * float(change.std(ddof=1)) / sqrt(parts)
    mean = float(change.mean())
    return LearningCurve(sizes, tuple(found.mean(axis=0).tolist()), mean, mean - half, mean + half)


def _sizes(largest: int) -> tuple[int, ...]:
    return tuple(sorted({int(n) for n in np.linspace(_LEAST, largest, _SIZES).round()}))


def _repeat(
    support: SupportSet,
    mapper: Mapper,
    classes: list[np.ndarray],
    sizes: tuple[int, ...],
    aside: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "size"]:
    shuffled = [rng.permutation(patients) for patients in classes]
    judges = torch.isin(support.patients, _ids([p[:aside] for p in shuffled]))
    row = []
    for size in sizes:
        chosen = torch.isin(support.patients, _ids([p[aside : aside + size] for p in shuffled]))
        classifier = mapper(support.subset(torch.nonzero(chosen).squeeze(1)))
        logits = classifier.logits(support.features[judges]).double().numpy()
        row.append(_mean_auroc(logits, support.labels[judges].numpy(), support.n_way))
    return np.array(row)


def _ids(parts: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts))


def _mean_auroc(logits: Float[np.ndarray, "case way"], labels: np.ndarray, n_way: int) -> float:
    pairs = []
    for a, b in combinations(range(n_way), 2):
        either = (labels == a) | (labels == b)
        pairs.append(auroc(logits[either, b] - logits[either, a], labels[either] == b))
    return float(np.mean(pairs))
