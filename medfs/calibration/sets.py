"""Prediction sets from a support set: held-out patients and the classifiers that missed them."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.episodes import SupportSet
from medfs.core.mapping import Mapper
from medfs.core.prediction_sets import CV, JACKKNIFE, SPLIT, PredictionSets, strangeness
from medfs.core.theta import Theta

# Up to so many patients of a class each is left out alone; beyond, so many groups of them (CV+).
_MOST_FOLDS = 20

Held = tuple[int, tuple[int, ...]]


def cross_sets(
    support: SupportSet, mapper: Mapper, temperature: float, seed: int
) -> PredictionSets | None:
    """Jackknife+ class by class, CV+ where a class has more than twenty patients.

    For each class its patients are left out one by one (group by group), all others stay. Patients
    of one class and a new patient of it are then treated alike, which is all that the guarantee
    asks for; how common classes are plays no part.

    Args:
        support: with its patients.
        mapper: runs anew on every rest.
        temperature: of its logits, not learned from this support.
        seed: deals patients into groups where they are left out in groups.

    Returns:
        None where leaving out a patient would leave some class without any.
    """
    held = list(_leave_out(support, seed))
    if _usable(support, held) is None:
        return None
    largest = max(len(support.patients_of(k)) for k in range(support.n_way))
    return _collect(support, mapper, temperature, held, CV if largest > _MOST_FOLDS else JACKKNIFE)


def split_sets(
    support: SupportSet, mapper: Mapper, temperature: float, seed: int
) -> PredictionSets | None:
    """Split conformal class by class (Mondrian, Vovk et al. 2005): half of every class is held out.

    The classifier behind these sets has seen the other half alone. None where a class has a single
    patient.
    """
    out: set[int] = set()
    for label in range(support.n_way):
        own = [p for p in _shuffled(support, label, seed) if p not in out]
        out |= set(own[: len(own) // 2])
    held = [(label, tuple(sorted(out))) for label in range(support.n_way)]
    if _usable(support, held) is None:
        return None
    return _collect(support, mapper, temperature, held, SPLIT)


def _leave_out(support: SupportSet, seed: int) -> Iterator[Held]:
    for label in range(support.n_way):
        patients = _shuffled(support, label, seed)
        for fold in range(min(len(patients), _MOST_FOLDS)):
            yield label, tuple(sorted(patients[fold::_MOST_FOLDS]))


def _shuffled(support: SupportSet, label: int, seed: int) -> list[int]:
    """A class's patients in random order, the same whatever number the class has."""
    own = sorted(support.patients_of(label))
    return [own[i] for i in np.random.default_rng(seed).permutation(len(own))]


def _usable(support: SupportSet, held: list[Held]) -> list[Held] | None:
    """`held` if every class keeps a patient in each rest and has one held out; None otherwise."""
    all_of = [set(support.patients_of(k)) for k in range(support.n_way)]
    kept = all(patients - set(out) for _, out in held for patients in all_of)
    covered = all(
        any(all_of[k] & set(out) for at, out in held if at == k) for k in range(len(all_of))
    )
    return held if kept and covered else None


def _collect(
    support: SupportSet, mapper: Mapper, temperature: float, held: list[Held], method: str
) -> PredictionSets:
    t = torch.tensor(temperature, dtype=torch.float64)
    members: dict[tuple[int, ...], tuple[int, Theta]] = {}
    scores, labels, member = [], [], []
    for label, out in held:
        if out not in members:
            theta = mapper(support.without_patients(out)).theta.to(torch.float64)
            members[out] = (len(members), theta)
        number, theta = members[out]
        for patient in sorted(set(out) & set(support.patients_of(label))):
            scores.append(_worst(support, theta, t, label, patient))
            labels.append(label)
            member.append(number)
    return PredictionSets(
        method,
        tuple(theta for _, theta in members.values()),
        t,
        torch.stack(scores),
        torch.tensor(labels),
        torch.tensor(member),
    )


def _worst(
    support: SupportSet, theta: Theta, temperature: Tensor, label: int, patient: int
) -> Float[Tensor, ""]:
    """The strangest of a patient's cases of a class: the sets then hold for any of their scans."""
    own = (support.labels == label) & (support.patients == patient)
    x = support.features[own].joined().double()
    return strangeness(theta(x) / temperature)[:, label].max()
