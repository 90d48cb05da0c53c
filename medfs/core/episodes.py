"""Support and query sets: what a mapper reads, and what its classifier is judged on."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from medfs.core.errors import EpisodeError
from medfs.core.features import Features


@dataclass(frozen=True, slots=True, eq=False)
class SupportSet:
    """Labelled cases of an N-way task; shots may differ between classes.

    Attributes:
        features: blocks of shape (case, feature).
        labels: (case,), index into `class_names`.
        patients: (case,), any integer that is the same for cases of the same patient.
        class_names: the N classes, in the order of every output column.

    Raises:
        EpisodeError: fewer than two classes, or a class without a case.
    """

    features: Features
    labels: Int[Tensor, "case"]
    patients: Int[Tensor, "case"]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.n_way < 2:
            raise EpisodeError(
                f"a classifier needs at least two classes, found {self.n_way}",
                todo="Add labelled cases of another class",
            )
        missing = [n for n, k in zip(self.class_names, self.n_shot, strict=True) if k == 0]
        if missing:
            raise EpisodeError(f"no support case of class {', '.join(missing)}")

    @property
    def n_way(self) -> int:
        return len(self.class_names)

    @property
    def n_shot(self) -> tuple[int, ...]:
        """Cases per class."""
        return tuple(torch.bincount(self.labels, minlength=self.n_way).tolist())

    def patients_of(self, label: int) -> tuple[int, ...]:
        """Patients with a case in a class, in order of first appearance."""
        return tuple(dict.fromkeys(self.patients[self.labels == label].tolist()))

    def __len__(self) -> int:
        return len(self.labels)

    def without_patients(self, patients: tuple[int, ...]) -> "SupportSet":
        """All cases of the other patients; EpisodeError if a class runs empty."""
        left_out = torch.isin(self.patients, torch.tensor(patients, device=self.patients.device))
        return self.subset(torch.nonzero(~left_out).squeeze(1))

    def subset(self, index: Int[Tensor, "chosen"]) -> "SupportSet":
        return SupportSet(
            self.features[index], self.labels[index], self.patients[index], self.class_names
        )


@dataclass(frozen=True, slots=True)
class Episode:
    """An N-way task drawn from a cohort, by case id, class by class.

    No patient is in both `support` and `query`.
    """

    support: dict[str, tuple[str, ...]]
    query: dict[str, tuple[str, ...]]
