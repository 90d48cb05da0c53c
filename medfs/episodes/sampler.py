"""Few-shot tasks drawn at random from a cohort, with patients as the unit."""

from collections.abc import Mapping

import numpy as np

from medfs.core.cases import Cohort
from medfs.core.episodes import Episode
from medfs.core.errors import EpisodeError, UsageError

Shots = int | Mapping[str, int]


class EpisodeSampler:
    """Draws N-way episodes in which every patient occurs at most once, on one side.

    A patient with cases in several classes is used for one of them. Such patients are allotted by
    bipartite matching (Kuhn 1955), so an episode is found whenever one exists. Cases without a
    label are never drawn. All order is by id: that of the cohort's cases does not matter.

    Args:
        cohort: labelled cases of at least two classes.
        n_shot: support cases of each class, at least 1: one number, or one for every class.
        n_query: query cases of each class, at least 1.

    Raises:
        UsageError: `n_shot` or `n_query` is below 1, or `n_shot` does not name the classes.
        EpisodeError: fewer than two classes, or too few patients.
    """

    def __init__(self, cohort: Cohort, n_shot: Shots, n_query: int) -> None:
        self.class_names = cohort.class_names
        self.n_shot = _shots_per_class(n_shot, n_query, self.class_names)
        self.n_query = n_query
        self._cases = {name: _cases_by_patient(cohort, name) for name in self.class_names}
        self._refuse_too_few()
        # One trial matching: what is infeasible is said now, not at the first draw.
        self._allot(np.random.default_rng(0))

    def sample(self, rng: np.random.Generator) -> Episode:
        """One episode. Of a patient with several cases in the class, one is chosen at random."""
        allotted = self._allot(rng)
        chosen = {
            name: tuple(_any_of(self._cases[name][p], rng) for p in allotted[name])
            for name in self.class_names
        }
        return Episode(
            support={name: chosen[name][: self.n_shot[name]] for name in self.class_names},
            query={name: chosen[name][self.n_shot[name] :] for name in self.class_names},
        )

    def _needed(self, name: str) -> int:
        return self.n_shot[name] + self.n_query

    def _refuse_too_few(self) -> None:
        for name, patients in self._cases.items():
            if len(patients) < self._needed(name):
                raise self._too_few(name, f"It has {len(patients)}")

    def _too_few(self, name: str, found: str) -> EpisodeError:
        support, query = self.n_shot[name], self.n_query
        return EpisodeError(
            f"class {name!r} has too few patients for an episode",
            why=f"{found}, {support + query} are needed: {support} support and {query} query",
            todo="Ask for fewer shots or queries, or add patients of this class",
        )

    def _allot(self, rng: np.random.Generator) -> dict[str, list[str]]:
        """Different patients for every class, in random order."""
        matching = _Matching({n: _shuffled(p, rng) for n, p in self._cases.items()}, rng)
        places = [n for n in self.class_names for _ in range(self._needed(n))]
        # Places of all classes in turn at random: no class has the first pick of shared patients.
        for i in rng.permutation(len(places)):
            if not matching.fill(places[i]):
                raise self._too_few(places[i], self._shared_patients(places[i]))
        return {n: _shuffled(matching.patients_of(n), rng) for n in self.class_names}

    def _shared_patients(self, name: str) -> str:
        others = {p for n, patients in self._cases.items() if n != name for p in patients}
        shared = len(others & set(self._cases[name]))
        return (
            f"It has {len(self._cases[name])}, of whom {shared} also have cases in other classes "
            "that need them"
        )


def sample_episode(
    cohort: Cohort, n_shot: Shots, n_query: int, rng: np.random.Generator
) -> Episode:
    """One episode; arguments and errors of `EpisodeSampler`."""
    return EpisodeSampler(cohort, n_shot, n_query).sample(rng)


def sample_episodes(
    cohort: Cohort, n_shot: Shots, n_query: int, n_episodes: int, seed: int
) -> tuple[Episode, ...]:
    """Independent episodes; the i-th is the same however many are drawn.

    Arguments and errors of `EpisodeSampler`.
    """
    sampler = EpisodeSampler(cohort, n_shot, n_query)
    seeds = np.random.SeedSequence(seed).spawn(n_episodes)
    return tuple(sampler.sample(np.random.default_rng(child)) for child in seeds)


class _Matching:
    """Patients given to classes, one class each, moved when another class needs them."""

    def __init__(self, candidates: Mapping[str, list[str]], rng: np.random.Generator) -> None:
        self._candidates, self._rng = candidates, rng
        self._class_of: dict[str, str] = {}

    def patients_of(self, name: str) -> list[str]:
        return sorted(p for p, owner in self._class_of.items() if owner == name)

    def fill(self, name: str) -> bool:
        """Give one more patient to the class; False if none can be freed for it."""
        return self._take(name, set())

    def _take(self, name: str, asked: set[str]) -> bool:
        # Every class asks at most once on a path, which bounds the depth by the number of classes.
        asked.add(name)
        for patient in self._candidates[name]:
            if patient not in self._class_of:
                self._class_of[patient] = name
                return True
        for patient in self._candidates[name]:
            owner = self._class_of[patient]
            if owner not in asked and self._take(owner, asked):
                self._class_of[patient] = name
                return True
        return False


def _shots_per_class(n_shot: Shots, n_query: int, class_names: tuple[str, ...]) -> dict[str, int]:
    if len(class_names) < 2:
        raise EpisodeError(
            f"an episode needs at least two classes, found {len(class_names)}",
            todo="Add labelled cases of another class",
        )
    shots = dict(n_shot) if isinstance(n_shot, Mapping) else dict.fromkeys(class_names, n_shot)
    if set(shots) != set(class_names):
        raise UsageError(
            "the shots must be given for every class of the cohort and for no other",
            why=f"Given for {sorted(shots)}, the classes are {list(class_names)}",
        )
    if min(n_query, *shots.values()) < 1:
        raise UsageError("an episode needs at least one support and one query case of each class")
    return shots


def _cases_by_patient(cohort: Cohort, name: str) -> dict[str, list[str]]:
    """Case ids of one class by patient, both sorted."""
    found: dict[str, list[str]] = {}
    for case in sorted(cohort.of_class(name), key=lambda c: (c.patient_id, c.case_id)):
        found.setdefault(case.patient_id, []).append(case.case_id)
    return found


def _shuffled(items: Mapping[str, object] | list[str], rng: np.random.Generator) -> list[str]:
    names = list(items)
    return [names[i] for i in rng.permutation(len(names))]


def _any_of(items: list[str], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]
