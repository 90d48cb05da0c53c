"""Episodes of varying shape: which classes, how many of them, and how many shots are drawn too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medfs.core.cases import Cohort
from medfs.core.episodes import Episode
from medfs.episodes.designs import EpisodeDesign
from medfs.episodes.matching import Unfilled, allot
from medfs.episodes.pools import Numbers, pools_of, too_few_patients


@dataclass(frozen=True, slots=True, eq=False)
class DrawnEpisode:
    """An episode by number.

    Attributes:
        classes: (way,), increasing places in `DesignSampler.class_names`.
        support: case numbers of each class, places in `DesignSampler.case_ids`.
        query: as `support`; every class has the same number.
    """

    classes: tuple[int, ...]
    support: tuple[Numbers, ...]
    query: tuple[Numbers, ...]


class DesignSampler:
    """Draws episodes of a design; every patient occurs at most once, on one side.

    First the number of ways, then the classes, then the shots, each uniformly; then patients, and
    of each patient one case. A range of shots ends where the smallest class of the episode runs
    out of patients (unequal: each class by itself). Where patients have cases in several classes,
    they are allotted by bipartite matching (Kuhn 1955) and a range may end earlier; fixed shots
    are drawn in full or refused. Cases without a label are never drawn, and all order is by id.

    Args:
        cohort: labelled cases.
        design: the shape of the episodes.
        class_names: classes to draw from; by default all.

    Raises:
        EpisodeError: an unseen class, too few classes for the design, or a class with too few
            patients for its fewest shots, alone or, where all classes are in every episode,
            beside the others.
    """

    def __init__(
        self, cohort: Cohort, design: EpisodeDesign, class_names: Sequence[str] | None = None
    ) -> None:
        self._pools = pools_of(cohort, class_names)
        self.design = design
        self.class_names = self._pools.class_names
        self.case_ids = self._pools.case_ids
        self._ways = design.ways(len(self.class_names))
        low, n_query = design.shots[0], design.n_query
        for place, pool in enumerate(self._pools.of_class):
            if len(pool) < low + n_query:
                raise too_few_patients(self._pools, place, low, n_query)
        self._disjoint = self._pools.disjoint
        if self._ways[1] == len(self.class_names):
            # What is infeasible is said now, not at the first draw.
            self.draw(np.random.default_rng(0), n_way=self._ways[1])

    @property
    def identity(self) -> str:
        """Changes whenever the same generator would draw other episodes."""
        return f"{self.design} {self._pools.identity}"

    def sample(self, rng: np.random.Generator) -> Episode:
        """One episode, its classes sorted by name.

        Raises:
            EpisodeError: the classes drawn share so many patients that no episode exists.
        """
        drawn = self.draw(rng)
        return Episode(self._by_name(drawn, drawn.support), self._by_name(drawn, drawn.query))

    def draw_ways(self, rng: np.random.Generator) -> int:
        """The number of classes of an episode."""
        low, high = self._ways
        return int(rng.integers(low, high + 1)) if low < high else low

    def draw(self, rng: np.random.Generator, n_way: int | None = None) -> DrawnEpisode:
        """`sample` by number; `n_way` is drawn unless given (as drawn by `draw_ways`)."""
        n_way = self.draw_ways(rng) if n_way is None else n_way
        n_classes = len(self.class_names)
        classes = np.sort(rng.permutation(n_classes)[:n_way]) if n_way < n_classes else None
        places = range(n_classes) if classes is None else classes.tolist()
        wanted = self._draw_shots(places, rng)
        cases = self._disjoint_cases if self._disjoint else self._shared_cases
        return self._sides(tuple(places), cases(places, wanted, rng))

    def _draw_shots(self, places: Sequence[int], rng: np.random.Generator) -> list[int]:
        low, high = self.design.shots
        if not self.design.varies:
            return [low] * len(places)
        room = [len(self._pools.of_class[i]) - self.design.n_query for i in places]
        if self.design.unequal:
            return [int(rng.integers(low, min(high, r) + 1)) for r in room]
        return [int(rng.integers(low, min(high, *room) + 1))] * len(places)

    def _disjoint_cases(
        self, places: Sequence[int], wanted: Sequence[int], rng: np.random.Generator
    ) -> list[Numbers]:
        pools = [self._pools.of_class[i] for i in places]
        n_query = self.design.n_query
        return [
            pool.cases_of(rng.permutation(len(pool))[: n + n_query], rng)
            for pool, n in zip(pools, wanted, strict=True)
        ]

    def _shared_cases(
        self, places: Sequence[int], wanted: Sequence[int], rng: np.random.Generator
    ) -> list[Numbers]:
        pools = [self._pools.of_class[i] for i in places]
        low, n_query = self.design.shots[0], self.design.n_query
        most = [n + n_query for n in wanted]
        try:
            allotted = allot(pools, [low + n_query] * len(pools), most, rng)
        except Unfilled as unfilled:
            place = places[unfilled.place]
            raise too_few_patients(self._pools, place, low, n_query, places) from None
        if not self.design.unequal:
            fewest = min(map(len, allotted))
            allotted = [positions[:fewest] for positions in allotted]
        return [q.cases_of(np.array(p), rng) for q, p in zip(pools, allotted, strict=True)]

    def _sides(self, places: tuple[int, ...], cases: Sequence[Numbers]) -> DrawnEpisode:
        n_query = self.design.n_query
        return DrawnEpisode(
            places,
            support=tuple(c[:-n_query] for c in cases),
            query=tuple(c[-n_query:] for c in cases),
        )

    def _by_name(self, drawn: DrawnEpisode, side: Sequence[Numbers]) -> dict[str, tuple[str, ...]]:
        return {
            self.class_names[place]: tuple(self.case_ids[i] for i in cases)
            for place, cases in zip(drawn.classes, side, strict=True)
        }
