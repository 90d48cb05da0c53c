"""Patients given to classes where some have cases in several: bipartite matching (Kuhn 1955)."""

from collections.abc import Mapping, Sequence

import numpy as np

from medfs.episodes.pools import Pool


class Unfilled(Exception):  # noqa: N818 - no failure of the program: the caller says what it means
    """No patient can be freed for the class at `place`."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


def allot(
    pools: Sequence[Pool], least: Sequence[int], most: Sequence[int], rng: np.random.Generator
) -> list[list[int]]:
    """Different patients for every class, in random order, each as its position in the pool.

    Every class gets its `least`, which is found whenever it exists, and then up to its `most`, as
    far as patients can be freed without taking any from another class.

    Raises:
        Unfilled: some class cannot get its `least`.
    """
    candidates = {i: [int(p) for p in _shuffled(q.patients, rng)] for i, q in enumerate(pools)}
    matching = _Matching(candidates)
    # Places of all classes in turn at random: no class has the first pick of shared patients.
    for place in _places(least, rng):
        if not matching.fill(place):
            raise Unfilled(place)
    more = [high - low for low, high in zip(least, most, strict=True)]
    if any(more):
        for place in _places(more, rng):
            matching.fill(place)
    return [
        [int(p) for p in _shuffled(np.searchsorted(pool.patients, matching.patients_of(i)), rng)]
        for i, pool in enumerate(pools)
    ]


class _Matching:
    """Patients given to classes, one class each, moved when another class needs them."""

    def __init__(self, candidates: Mapping[int, Sequence[int]]) -> None:
        self._candidates = candidates
        self._class_of: dict[int, int] = {}

    def patients_of(self, place: int) -> list[int]:
        return sorted(p for p, owner in self._class_of.items() if owner == place)

    def fill(self, place: int) -> bool:
        """Give one more patient to the class; False if none can be freed for it."""
        return self._take(place, set())

    def _take(self, place: int, asked: set[int]) -> bool:
        # Every class asks at most once on a path, which bounds the depth by the number of classes.
        asked.add(place)
        for patient in self._candidates[place]:
            if patient not in self._class_of:
                self._class_of[patient] = place
                return True
        for patient in self._candidates[place]:
            owner = self._class_of[patient]
            if owner not in asked and self._take(owner, asked):
                self._class_of[patient] = place
                return True
        return False


def _places(counts: Sequence[int], rng: np.random.Generator) -> list[int]:
    places = [i for i, count in enumerate(counts) for _ in range(count)]
    return [places[i] for i in rng.permutation(len(places))]


def _shuffled(
    items: "np.typing.NDArray[np.int64]", rng: np.random.Generator
) -> "np.typing.NDArray[np.int64]":
    return items[rng.permutation(len(items))]
