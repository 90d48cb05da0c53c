"""Few-shot tasks of one shape drawn at random from a cohort, with patients as the unit."""

from collections.abc import Mapping

import numpy as np

from medfs.core.cases import Cohort
from medfs.core.episodes import Episode
from medfs.core.errors import EpisodeError, UsageError
from medfs.episodes.matching import Unfilled, allot
from medfs.episodes.pools import Pools, pools_of, too_few_patients

Shots = int | Mapping[str, int]


class EpisodeSampler:
    """Draws episodes of all classes in which every patient occurs at most once, on one side.

    A patient with cases in several classes is used for one of them. Such patients are allotted by
    bipartite matching (Kuhn 1955), so an episode is found whenever one exists. Cases without a
    label are never drawn. All order is by id: that of the cohort's cases does not matter.
    `DesignSampler` draws ways and shots as well.

    Args:
        cohort: labelled cases of at least two classes.
        n_shot: support cases of each class, at least 1: one number, or one for every class.
        n_query: query cases of each class, at least 1.

    Raises:
        UsageError: `n_shot` does not name the classes.
        EpisodeError: `n_shot` or `n_query` is below 1, fewer than two classes, or too few patients.
    """

    def __init__(self, cohort: Cohort, n_shot: Shots, n_query: int) -> None:
        self._pools = pools_of(cohort)
        self.class_names = self._pools.class_names
        self.n_shot = _shots_per_class(n_shot, n_query, self.class_names)
        self.n_query = n_query
        self._needed = [self.n_shot[name] + n_query for name in self.class_names]
        _refuse_too_few(self._pools, self.n_shot, n_query)
        # One trial matching: what is infeasible is said now, not at the first draw.
        self._allot(np.random.default_rng(0))

    @property
    def identity(self) -> str:
        """Changes whenever the same generator would draw other episodes."""
        return f"episodes {self.n_shot} {self.n_query} {self._pools.identity}"

    def sample(self, rng: np.random.Generator) -> Episode:
        """One episode. Of a patient with several cases in the class, one is chosen at random."""
        chosen = {}
        allotted = zip(self.class_names, self._pools.of_class, self._allot(rng), strict=True)
        for name, pool, positions in allotted:
            chosen[name] = tuple(self._pools.case_ids[pool.case_of(p, rng)] for p in positions)
        return Episode(
            support={name: chosen[name][: self.n_shot[name]] for name in self.class_names},
            query={name: chosen[name][self.n_shot[name] :] for name in self.class_names},
        )

    def _allot(self, rng: np.random.Generator) -> list[list[int]]:
        try:
            return allot(self._pools.of_class, self._needed, self._needed, rng)
        except Unfilled as unfilled:
            name = self.class_names[unfilled.place]
            raise too_few_patients(
                self._pools, unfilled.place, self.n_shot[name], self.n_query
            ) from None


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


def _refuse_too_few(pools: Pools, n_shot: Mapping[str, int], n_query: int) -> None:
    for place, name in enumerate(pools.class_names):
        if len(pools.of_class[place]) < n_shot[name] + n_query:
            raise too_few_patients(pools, place, n_shot[name], n_query)


def _shots_per_class(n_shot: Shots, n_query: int, class_names: tuple[str, ...]) -> dict[str, int]:
    shots = dict(n_shot) if isinstance(n_shot, Mapping) else dict.fromkeys(class_names, n_shot)
    if set(shots) != set(class_names):
        raise UsageError(
            "the shots must be given for every class of the cohort and for no other",
            why=f"Given for {sorted(shots)}, the classes are {list(class_names)}",
        )
    if min(n_query, *shots.values()) < 1:
        asked = ", ".join(f"{count} of {name!r}" for name, count in shots.items())
        raise EpisodeError(
            "an episode needs at least one support and one query case of each class",
            why=f"Asked were {asked} in the support, and {n_query} queries of each class",
            todo="Ask for at least one shot and one query",
        )
    return shots
