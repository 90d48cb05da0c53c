"""The patients of every class by number: what episodes are drawn from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medfs.core.cases import Case, Cohort
from medfs.core.errors import EpisodeError

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The patients of one class and their cases in it.

    Attributes:
        patients: (patient,), increasing numbers; the same patient has the same in every class.
        first: (patient,), where the patient's cases begin in `cases`.
        count: (patient,), how many there are, at least 1.
        cases: (case,), case numbers, patient by patient.
    """

    patients: Numbers
    first: Numbers
    count: Numbers
    cases: Numbers

    def __len__(self) -> int:
        return len(self.patients)

    def case_of(self, position: int, rng: np.random.Generator) -> int:
        """A case of the patient at `position`, each as likely as the others."""
        return int(self.cases[self.first[position] + rng.integers(self.count[position])])

    def cases_of(self, positions: Numbers, rng: np.random.Generator) -> Numbers:
        """`case_of` for many patients at once."""
        return self.cases[self.first[positions] + rng.integers(self.count[positions])]


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """The classes that episodes are drawn from.

    Attributes:
        class_names: sorted.
        case_ids: of the labelled cases of these classes, sorted by patient, then case.
        patient_ids: of their patients, sorted: a patient's number is its place.
        of_class: one pool for every name.
    """

    class_names: tuple[str, ...]
    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    of_class: tuple[Pool, ...]

    @property
    def disjoint(self) -> bool:
        """Every patient has cases in one class only."""
        return sum(map(len, self.of_class)) == len(self.patient_ids)

    @property
    def identity(self) -> str:
        """A hash of everything that decides which cases are drawn."""
        digest = hashlib.sha256()
        for name, pool in zip(self.class_names, self.of_class, strict=True):
            patients = np.repeat(pool.patients, pool.count)
            for patient, case in zip(patients, pool.cases, strict=True):
                row = [name, self.patient_ids[patient], self.case_ids[case]]
                digest.update(json.dumps(row).encode())
        return digest.hexdigest()


def pools_of(cohort: Cohort, class_names: Sequence[str] | None = None) -> Pools:
    """The labelled cases of a cohort, of all classes or of those named, by class and patient.

    All order is by id: that of the cohort's cases does not matter.

    Raises:
        EpisodeError: fewer than two classes, or a name that no case has.
    """
    names = _names(cohort, class_names)
    wanted = set(names)
    cases = sorted(
        (c for c in cohort.cases if c.label in wanted), key=lambda c: (c.patient_id, c.case_id)
    )
    patient_ids = tuple(sorted({c.patient_id for c in cases}))
    number = {patient: i for i, patient in enumerate(patient_ids)}
    pools = tuple(_pool(cases, number, name) for name in names)
    return Pools(names, tuple(c.case_id for c in cases), patient_ids, pools)


def too_few_patients(
    pools: Pools, place: int, n_shot: int, n_query: int, among: Sequence[int] | None = None
) -> EpisodeError:
    """The error that says what the class at `place` lacks.

    `among` are the places of the episode's classes, by default all: with these it may have to
    share patients.
    """
    own = pools.of_class[place].patients
    others = [pools.of_class[i].patients for i in among or range(len(pools.of_class)) if i != place]
    shared = int(np.isin(own, np.concatenate(others)).sum())
    found = f"It has {len(own)}"
    if len(own) >= n_shot + n_query:
        found += f", of whom {shared} also have cases in other classes that need them"
    return EpisodeError(
        f"class {pools.class_names[place]!r} has too few patients for an episode",
        why=f"{found}, {n_shot + n_query} are needed: {n_shot} support and {n_query} query",
        todo="Ask for fewer shots or queries, or add patients of this class",
    )


def _names(cohort: Cohort, class_names: Sequence[str] | None) -> tuple[str, ...]:
    names = cohort.class_names if class_names is None else tuple(sorted(set(class_names)))
    unseen = [name for name in names if name not in cohort.class_names]
    if unseen:
        raise EpisodeError(
            f"{len(unseen)} of {len(names)} classes have no case: {', '.join(unseen)}",
            why=f"The {len(cohort.class_names)} labels are {', '.join(cohort.class_names)}",
            todo="Correct the names, or add labelled cases of these classes",
        )
    if len(names) < 2:
        raise EpisodeError(
            f"an episode needs at least two classes, found {len(names)}",
            todo="Add labelled cases of another class",
        )
    return names


def _pool(cases: Sequence[Case], number: dict[str, int], name: str) -> Pool:
    rows = [(number[c.patient_id], i) for i, c in enumerate(cases) if c.label == name]
    table = np.array(rows, dtype=np.int64)
    patients, first, count = np.unique(table[:, 0], return_index=True, return_counts=True)
    return Pool(patients, first.astype(np.int64), count.astype(np.int64), table[:, 1])
