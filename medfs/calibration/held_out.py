"""Logits of support cases from classifiers that have not seen their patients."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medfs.core.calibration import Calibration
from medfs.core.episodes import SupportSet
from medfs.core.folds import balanced_folds
from medfs.core.mapping import Mapper


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutLogits:
    """Logits of left-out cases; a case appears once for every fold that leaves its patient out.

    `weights` sum to the number of distinct cases, in equal parts per class; `patients` say whose
    cases they are.
    """

    logits: Float[Tensor, "prediction way"]
    labels: Int[Tensor, "prediction"]
    weights: Float[Tensor, "prediction"]
    patients: Int[Tensor, "prediction"]

    def log_likelihood(self, calibration: Calibration) -> float:
        """Of the labels after calibration; as many cases as were held out, classes alike."""
        log_p = torch.log_softmax(calibration.apply(self.logits), dim=1)
        return float(log_p[torch.arange(len(self.labels)), self.labels] @ self.weights)

    def only(self, chosen: Bool[Tensor, "prediction"]) -> "HeldOutLogits":
        """Some of the predictions, weighing what they weigh among all."""
        return HeldOutLogits(*(getattr(self, field.name)[chosen] for field in fields(self)))


def held_out_logits(
    support: SupportSet, mapper: Mapper, seed: int, repeats: int = 3
) -> HeldOutLogits | None:
    """Cross-fit: leave out one patient of every class at a time, run the mapper on the rest.

    Folds are balanced because leaving one case out alone shifts the class balance of the rest
    against it: on pure noise that scores far below chance.

    Returns:
        None where a class has a single patient, so that nothing can be left out.
    """
    patients = support.patients.tolist()
    folds = balanced_folds(support.labels.tolist(), patients, seed, repeats)
    if not folds:
        return None
    logits, labels, seen = [], [], []
    for fold in folds:
        out = torch.isin(support.patients, torch.tensor(fold))
        rest = support.subset(torch.nonzero(~out).squeeze(1))
        logits.append(mapper(rest).logits(support.features[out]))
        labels.append(support.labels[out])
        seen.append(torch.nonzero(out).squeeze(1))
    case = torch.cat(seen)
    return _weighted(torch.cat(logits), torch.cat(labels), case, support.patients[case])


def _weighted(
    logits: Float[Tensor, "prediction way"],
    labels: Int[Tensor, "prediction"],
    case: Int[Tensor, "prediction"],
    patients: Int[Tensor, "prediction"],
) -> HeldOutLogits:
    share = 1.0 / torch.bincount(case)[case].double()
    per_class = torch.zeros(logits.shape[1], dtype=torch.float64).index_add(0, labels, share)
    weights = share * share.sum() / (per_class[labels] * (per_class > 0).sum())
    return HeldOutLogits(logits, labels, weights, patients)
