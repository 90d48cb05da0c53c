"""Episodes as tensors: listed ones stacked, or drawn straight into a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from medfs.core.cases import Cohort
from medfs.core.episodes import Episode
from medfs.core.errors import EpisodeError, UsageError
from medfs.core.tasks import TaskBatch
from medfs.episodes.design_sampler import DesignSampler
from medfs.episodes.designs import EpisodeDesign
from medfs.episodes.pools import Numbers
from medfs.episodes.rows import Rows, listed_rows, stack_items, stack_rows

ItemsOf = Mapping[str, Float[Tensor, "*item"]]


def to_task_batch(
    episodes: Sequence[Episode],
    features_of: ItemsOf,
    patient_of: Mapping[str, str],
    class_names: Sequence[str],
) -> TaskBatch:
    """Stack episodes of equally many classes; sides of unequal size are padded with weight zero.

    Classes are numbered in the order of `class_names`, and only those of an episode count: in an
    episode of b and c, b is 0. On each side every class weighs alike, in it every patient, of a
    patient every case; the weights of a side sum to one. Padding is zeros with label 0.

    Args:
        episodes: at least one.
        features_of: what is known of each case, (feature,) or any one shape, by case id.
        patient_of: patient id by case id.
        class_names: order of the classes; it may name more than the episodes have.

    Raises:
        EpisodeError: no episode, a different number of classes, a class that is not named, or
            missing on a side, a case without features or patient, or a patient on both sides.
        UsageError: features of different shapes.
    """
    if not episodes:
        raise EpisodeError("no episode was given", todo="Give at least one")
    used = list(dict.fromkeys(case for episode in episodes for case in _cases(episode)))
    _refuse_unknown(used, features_of, "features")
    _refuse_unknown(used, patient_of, "patient")
    number = {case: i for i, case in enumerate(used)}
    sides = [listed_rows(e, number, patient_of, class_names, i) for i, e in enumerate(episodes)]
    ways = {support.n_way for support, _ in sides}
    if len(ways) > 1:
        counts = ", ".join(str(support.n_way) for support, _ in sides[:10])
        raise EpisodeError(
            "the episodes of a batch must have equally many classes",
            why=f"They have {counts}" + (" and so on" if len(sides) > 10 else ""),
            todo="Batch episodes of the same number of ways",
        )
    return _batch(stack_items(used, features_of), sides, ways.pop())


class CohortTasks:
    """Draws batches of tasks from a cohort whose features are known.

    The number of ways is drawn once a batch, all else for every task: see `DesignSampler`.

    Args:
        cohort: labelled cases.
        design: the shape of the episodes.
        features_of: what is known of each case, (feature,) or any one shape, by case id.
        class_names: classes to draw from; by default all.

    Raises:
        EpisodeError: as `DesignSampler`, or a labelled case without features.
        UsageError: features of different shapes.
    """

    def __init__(
        self,
        cohort: Cohort,
        design: EpisodeDesign,
        features_of: ItemsOf,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self._sampler = DesignSampler(cohort, design, class_names)
        _refuse_unknown(self._sampler.case_ids, features_of, "features")
        self._items = stack_items(self._sampler.case_ids, features_of)

    @property
    def identity(self) -> str:
        """Changes whenever the same generator would draw other cases; features do not count."""
        return self._sampler.identity

    def sample(self, n_tasks: int, rng: np.random.Generator) -> TaskBatch:
        """Tasks of equally many classes; unequal shots are padded as in `to_task_batch`.

        Raises:
            UsageError: no task is asked for.
            EpisodeError: classes drawn share so many patients that no episode exists.
        """
        if n_tasks < 1:
            raise UsageError(f"a batch needs at least one task, asked were {n_tasks}")
        n_way = self._sampler.draw_ways(rng)
        drawn = [self._sampler.draw(rng, n_way) for _ in range(n_tasks)]
        sides = [(_one_case_each(d.support), _one_case_each(d.query)) for d in drawn]
        return _batch(self._items, sides, n_way)


@dataclass(frozen=True, slots=True, eq=False)
class TaskSource:
    """Batches of one size as a source of `Mixture` and `EpisodeStream`."""

    tasks: CohortTasks
    n_tasks: int

    @property
    def identity(self) -> str:
        """That of the tasks, and how many."""
        return f"{self.n_tasks} tasks {self.tasks.identity}"

    def sample(self, rng: np.random.Generator) -> TaskBatch:
        """One batch; errors of `CohortTasks.sample`."""
        return self.tasks.sample(self.n_tasks, rng)


def _one_case_each(cases: Sequence[Numbers]) -> Rows:
    """One side of a drawn episode, in which no patient occurs twice."""
    n_way = len(cases)
    counts: NDArray[np.int64] = np.array([len(c) for c in cases])
    return Rows(
        np.concatenate(cases),
        np.repeat(np.arange(n_way), counts),
        np.repeat(1.0 / (n_way * counts), counts),
        n_way,
    )


def _batch(
    items: Float[Tensor, "row *item"], sides: Sequence[tuple[Rows, Rows]], n_way: int
) -> TaskBatch:
    support = stack_rows(items, [s for s, _ in sides])
    query = stack_rows(items, [q for _, q in sides])
    return TaskBatch(*support, *query, n_way)


def _cases(episode: Episode) -> list[str]:
    return [
        c for side in (episode.support, episode.query) for cases in side.values() for c in cases
    ]


def _refuse_unknown(cases: Sequence[str], known: Mapping[str, object], what: str) -> None:
    unknown = [case for case in cases if case not in known]
    if unknown:
        raise EpisodeError(
            f"{len(unknown)} of {len(cases)} cases have no {what}",
            why="For example " + ", ".join(unknown[:3]),
            todo="Embed these cases, or leave them out of the cohort",
        )
