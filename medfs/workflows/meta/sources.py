"""Where batches of tasks come from: each source of a configuration as something to draw from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medfs.core.cases import Cohort
from medfs.core.features import Encoder
from medfs.core.tasks import TaskBatch
from medfs.episodes.batches import CohortTasks as EpisodesOf
from medfs.episodes.batches import TaskSource
from medfs.episodes.designs import parse_design
from medfs.episodes.mixture import Mixture, Source
from medfs.episodes.splits import split_classes_by_share, split_patients
from medfs.storage.tensors import TensorCache
from medfs.synthesis.factors import ALL_FACTORS
from medfs.synthesis.gaussian import GaussianFamily
from medfs.synthesis.plans import TaskPlan
from medfs.synthesis.scenes import ALL_SCENES
from medfs.synthesis.tasks import sample_tasks
from medfs.workflows.asked import Asked
from medfs.workflows.meta import families
from medfs.workflows.meta.pool import FeaturePool, fill_pool
from medfs.workflows.sources import FileSource

Progress = Callable[[int], None]
Warn = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Workshop:
    """What sources need to make items of volumes.

    Attributes:
        encoders: frozen feature extractors; empty where the items are the volumes themselves.
        device: where volumes are made and encoded.
        cache: of features.
        n_tasks: of a batch.
        progress: called for each case or pooled task that is encoded.
        warn: told which cases cannot be read.
    """

    encoders: tuple[Encoder, ...]
    device: torch.device
    cache: TensorCache
    n_tasks: int
    progress: Progress = lambda _: None
    warn: Warn = lambda _: None


def mixture(sources: Mapping[str, families.Source], workshop: Workshop) -> Mixture[TaskBatch]:
    """All sources by their weights.

    Raises:
        CohortError, EpisodeError: a cohort that no episode can be drawn from.
    """
    return Mixture({name: (_build(s, workshop), s.weight) for name, s in sources.items()})


def _build(source: families.Source, workshop: Workshop) -> Source[TaskBatch]:
    if isinstance(source, families.GaussianTasks):
        return Gaussian(source, workshop.n_tasks)
    if isinstance(source, families.CohortTasks):
        return _cohort(source, workshop)
    if source.kind == "synthetic":
        return Volumes(source, task_plan(source), workshop.n_tasks, workshop.device)
    return _pooled(source, workshop)


@dataclass(frozen=True)
class Gaussian:
    """Batches of a Gaussian family."""

    config: families.GaussianTasks
    n_tasks: int

    @property
    def identity(self) -> str:
        return f"{self.n_tasks} of {self.config!r}"

    def sample(self, rng: np.random.Generator) -> TaskBatch:
        family = GaussianFamily.drawn(self.config.n_features, self.config.family)
        n_way, n_shot = _one_of(self.config.n_way, rng), _one_of(self.config.n_shot, rng)
        return family.sample(self.n_tasks, n_way, n_shot, self.config.n_query, _seeded(rng))


@dataclass(frozen=True, eq=False)
class Volumes:
    """Batches of synthetic volumes, image and region as channels."""

    config: families.SyntheticTasks
    plan: TaskPlan
    n_tasks: int
    device: torch.device

    @property
    def identity(self) -> str:
        return f"{self.n_tasks} of {self.config!r}"

    def sample(self, rng: np.random.Generator) -> TaskBatch:
        n_way, n_shot = _one_of(self.config.n_way, rng), _one_of(self.config.n_shot, rng)
        plan = replace(self.plan, n_tasks=self.n_tasks, n_way=n_way, n_shot=n_shot)
        return sample_tasks(plan, _seeded(rng), self.device).batch()


def task_plan(source: families.SyntheticTasks) -> TaskPlan:
    """What a synthetic source draws.

    Raises:
        EpisodeError: numbers that make no tasks.
        CohortError: a folder without label maps.
    """
    return TaskPlan(
        n_way=max(source.n_way),
        n_shot=max(source.n_shot),
        n_query=source.n_query,
        shape=source.shape,
        scenes=ALL_SCENES if source.scenes is None else source.scenes,
        factors=ALL_FACTORS if source.factors is None else source.factors,
        n_class_factors=source.n_class_factors,
        separation=source.separation,
        label_noise=source.label_noise,
        imbalance=source.imbalance,
        size_spread=source.size_spread,
        shapes=_label_maps(source),
    )


def _label_maps(source: families.SyntheticTasks) -> Tensor | None:
    if source.shapes is None:
        return None
    from medfs.workflows.meta.label_maps import read_label_maps

    return read_label_maps(Path(source.shapes), source.shape)


def _pooled(source: families.SyntheticTasks, workshop: Workshop) -> FeaturePool:
    plan = task_plan(source)
    features, labels = fill_pool(
        plan,
        source.pool,
        source.cases,
        source.seed,
        workshop.encoders,
        workshop.device,
        workshop.cache,
        workshop.progress,
    )
    draw = partial(_one_of_each, source)
    names = [e.identity for e in workshop.encoders]
    identity = f"{workshop.n_tasks} of {source!r} by {names}"
    return FeaturePool(features, labels, source.labels, draw, plan, workshop.n_tasks, identity)


def _one_of_each(source: families.SyntheticTasks, rng: np.random.Generator) -> tuple[int, int]:
    return _one_of(source.n_way, rng), _one_of(source.n_shot, rng)


def _cohort(source: families.CohortTasks, workshop: Workshop) -> TaskSource:
    asked = Asked(label_column=source.label_column)
    whole = asked.cohort(Path(source.path))
    items = _items(whole, source.preset, workshop)
    usable = whole.without({c.case_id for c in whole.cases if c.case_id not in items})
    side = _side(usable, source)
    design = parse_design(source.design)
    tasks = EpisodesOf(side, design, items)
    return TaskSource(tasks, workshop.n_tasks)


def _side(cohort: Cohort, source: families.CohortTasks) -> Cohort:
    shares = {"train": source.share, "validation": 1 - source.share}
    if source.disjoint == "classes":
        return split_classes_by_share(cohort, shares, seed=0, drop_shared=True)[source.side]
    return split_patients(cohort, shares)[source.side]


def _items(cohort: Cohort, preset: str, workshop: Workshop) -> dict[str, Tensor]:
    """Features of every case that can be read, or image and region where an encoder is trained."""
    # The stages that read scans take seconds to import; other sources need none of them.
    from medfs.workflows.meta.cases import features_of, volumes_of

    sources = [FileSource(case, True) for case in cohort.cases]
    w = workshop
    if w.encoders:
        return features_of(sources, preset, w.encoders, w.device, w.cache, w.progress, w.warn)
    return volumes_of(sources, preset, w.progress, w.warn)


def _one_of(values: tuple[int, ...], rng: np.random.Generator) -> int:
    return int(values[int(rng.integers(len(values)))])


def _seeded(rng: np.random.Generator) -> torch.Generator:
    """A generator of torch whose seed comes from the stream: one state is enough to go on."""
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
