"""Sets of classes that hold the true one as often as was asked for, class by class.

A class is in the set of a scan unless the scan is stranger, as a member of that class, than
nearly all labelled patients of the class were to classifiers that had not seen them.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medfs.core.errors import UsageError
from medfs.core.theta import Theta

# A level is a decimal, counts are whole: rounding must not decide between them.
_ROUNDING = 1e-9
JACKKNIFE, CV, SPLIT = "jackknife+", "cv+", "split"
METHODS = (JACKKNIFE, CV, SPLIT)


def strangeness(logits: Float[Tensor, "case way"]) -> Float[Tensor, "case way"]:
    """Log-odds against each class: never rounds to a bound, as 1 − p does."""
    others = [
        torch.logsumexp(torch.cat([logits[:, :k], logits[:, k + 1 :]], dim=1), dim=1)
        for k in range(logits.shape[1])
    ]
    return torch.stack(others, dim=1) - logits


def p_values(
    known: Float[Tensor, "unit"],
    labels: Int[Tensor, "unit"],
    asked: Float[Tensor, "case unit"],
    way: int,
) -> Float[Tensor, "case way"]:
    """Share of the patients of a class that were at least as strange, the new scan counted in.

    Args:
        known: strangeness of each held-out patient as a member of its own class.
        labels: that class.
        asked: strangeness of each scan as a member of that class, by the classifier that had not
            seen that patient (the comparison of CV+: Romano, Sesia & Candès, NeurIPS 2020).
        way: number of classes.
    """
    at_least = (known >= asked).to(known.dtype)
    count = torch.zeros(len(asked), way, dtype=known.dtype).index_add(1, labels, at_least)
    return (1 + count) / (1 + torch.bincount(labels, minlength=way))


def in_set(
    p: Float[Tensor, "case way"], n_patients: Int[Tensor, "way"], level: float
) -> Bool[Tensor, "case way"]:
    """Classes whose p-value is above 1 − `level`."""
    counted = n_patients.double() + 1
    return p * counted > (1 - level) * counted + _ROUNDING


def highest_level(n_patients: int) -> float:
    """The highest nominal level that so many patients of the smallest class support, n / (n + 1).

    Above it a class could never be left out of a set.
    """
    return n_patients / (n_patients + 1)


def patients_needed(level: float) -> int:
    """Of every class, for a nominal level below 1."""
    return math.ceil(level / (1 - level) - _ROUNDING)


def guaranteed(method: str, level: float, n_patients: int, n_folds: int) -> float:
    """What is proved for a nominal level, whatever the classifier is worth; at least 0.

    `split`: the level itself (Vovk et al. 2005). `jackknife+`: 1 − 2α; `cv+`: 1 − 2α less
    min(2 (1 − 1/K) / (n/K + 1), (1 − K/n) / (K + 1)) (Barber, Candès, Ramdas & Tibshirani 2021,
    theorems 1 and 4; Romano et al. 2020, theorem 3).

    Args:
        method: one of METHODS.
        level: nominal, 1 − α.
        n_patients: n, of the class.
        n_folds: K, of the class.
    """
    if method == SPLIT:
        return level
    n, k = n_patients, n_folds
    excess = min(2 * (1 - 1 / k) / (n / k + 1), (1 - k / n) / (k + 1))
    return max(0.0, 1 - 2 * (1 - level) - excess)


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSets:
    """What sets are made from.

    Attributes:
        method: one of METHODS.
        members: classifiers that have each not seen some patients.
        temperature: of their logits, known before any case was.
        scores: strangeness of each held-out patient as a member of its class.
        labels: that class.
        member: which classifier had not seen that patient.
    """

    method: str
    members: tuple[Theta, ...]
    temperature: Float[Tensor, ""]
    scores: Float[Tensor, "unit"]
    labels: Int[Tensor, "unit"]
    member: Int[Tensor, "unit"]

    @property
    def n_patients(self) -> Int[Tensor, "way"]:
        """Held out of each class."""
        return torch.bincount(self.labels)

    @property
    def n_folds(self) -> tuple[int, ...]:
        """Classifiers of each class."""
        return tuple(
            len(set(self.member[self.labels == k].tolist())) for k in range(len(self.n_patients))
        )

    @property
    def highest(self) -> float:
        """The highest nominal level that can be asked for."""
        return highest_level(int(self.n_patients.min()))

    def guaranteed(self, level: float) -> float:
        """For every class, at a nominal level."""
        each = zip(self.n_patients.tolist(), self.n_folds, strict=True)
        return min(guaranteed(self.method, level, n, k) for n, k in each)

    def p_values(self, x: Float[Tensor, "case feature"]) -> Float[Tensor, "case way"]:
        """Of every class, for features as the members read them."""
        rows = x.to(self.scores.dtype)
        all_asked = torch.stack([strangeness(m(rows) / self.temperature) for m in self.members])
        asked = all_asked[self.member, :, self.labels].T
        return p_values(self.scores, self.labels, asked, len(self.n_patients))

    def __call__(self, x: Float[Tensor, "case feature"], level: float) -> Bool[Tensor, "case way"]:
        """Which classes are in the set of each case; a set may be empty."""
        return in_set(self.p_values(x), self.n_patients, level)

    def rule(self, level: float) -> "SetRule":
        """The same sets at one level by a bound per class: what can leave the house.

        Raises:
            UsageError: more than one classifier is needed, and they are derived from single
                patients.
        """
        if self.method != SPLIT:
            raise UsageError(
                f"sets by {self.method} cannot be exported",
                why="They need a classifier for every patient, which tells of single patients",
                todo="Adapt with --sets split, or leave --coverage out",
            )
        counts = self.n_patients.tolist()
        bounds = [
            _bound(self.scores[self.labels == k], (1 - level) * (n + 1) + _ROUNDING - 1)
            for k, n in enumerate(counts)
        ]
        return SetRule(self.members[0], self.temperature, torch.stack(bounds))


@dataclass(frozen=True, slots=True, eq=False)
class SetRule:
    """Sets at one level, from a single classifier.

    Attributes:
        member: the classifier that had not seen the patients of `bounds`.
        temperature: of its logits.
        bounds: strangeness up to which a class is in the set.
    """

    member: Theta
    temperature: Float[Tensor, ""]
    bounds: Float[Tensor, "way"]

    def __call__(self, x: Float[Tensor, "case feature"]) -> Bool[Tensor, "case way"]:
        """Which classes are in the set of each case; a set may be empty."""
        logits = self.member(x.to(self.bounds.dtype)) / self.temperature
        return strangeness(logits) <= self.bounds


def _bound(known: Float[Tensor, "unit"], more_than: float) -> Float[Tensor, ""]:
    """What must not be exceeded so that more than so many of these are at least as large."""
    needed = math.floor(more_than) + 1
    if needed <= 0:
        return known.new_tensor(math.inf)
    return known.sort(descending=True).values[needed - 1]
