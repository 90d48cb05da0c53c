"""Tasks to be evaluated: a cohort, its episodes, and the features of its cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from medfs.core.cases import Cohort
from medfs.core.episodes import Episode
from medfs.core.errors import CohortError, EpisodeError, UsageError
from medfs.core.features import Encoder, Features
from medfs.episodes.frozen import FILE_NAME, FrozenTask, read_frozen
from medfs.episodes.restriction import restrict_all, shared_patients
from medfs.episodes.sampler import sample_episodes
from medfs.preprocess.presets import Preset
from medfs.scans.cohorts import load_cohort
from medfs.scans.options import DEFAULT, ReadOptions
from medfs.storage.tensors import TensorCache
from medfs.workflows.asked import Asked
from medfs.workflows.components import choose_preset
from medfs.workflows.embed import Embedder, Failed, embed_all
from medfs.workflows.facts import ScanFacts
from medfs.workflows.screening import (
    masks_of_all_or_none,
    need_two_classes,
    refuse_copies_in_two_classes,
)
from medfs.workflows.sources import FileSource


@dataclass(frozen=True)
class Shots:
    """Episodes of one shot count; `error` says why there are none.

    `dropped` counts cases that the episodes name and that could not be used.
    """

    n_shot: int
    drawn: tuple[Episode, ...] = ()
    skipped: int = 0
    dropped: int = 0
    error: str | None = None


@dataclass(frozen=True)
class EpisodePlan:
    """How episodes are drawn from a cohort."""

    n_shots: tuple[int, ...]
    n_query: int
    n_episodes: int
    seed: int


@dataclass(frozen=True)
class Task:
    """A cohort and how its episodes come about once it is known which cases can be used."""

    name: str
    cohort: Cohort
    class_names: tuple[str, ...]
    episodes: Callable[[Cohort], list[Shots]]


@dataclass(frozen=True, eq=False)
class TaskFeatures:
    """Features by case id, and what was decided to get them.

    `facts` are what each scan tells without its tissue: what shortcuts are made of.
    """

    features: dict[str, Features]
    facts: dict[str, ScanFacts]
    usable: Cohort
    patient_of: dict[str, str]
    failed: tuple[Failed, ...]
    preset: Preset
    reason: str
    region: str
    finding_is_known: bool


def cohort_task(path: Path, plan: EpisodePlan, asked: Asked) -> Task:
    """Episodes drawn from one cohort."""
    cohort = need_two_classes(asked.cohort(path))
    return Task(path.stem or "cohort", cohort, cohort.class_names, partial(_draw, plan=plan))


def frozen_tasks(folder: Path, names: Sequence[str]) -> list[Task]:
    """The tasks of a frozen benchmark, all or those named.

    Raises:
        UsageError: a name that the benchmark does not have.
        EpisodeError: a patient is on both sides of an episode.
        CohortError: there are no frozen episodes.
    """
    if not ((folder / FILE_NAME).is_file() or folder.is_file()):
        raise CohortError(
            f"there is no {FILE_NAME} here",
            case=str(folder),
            todo="Give the folder of a frozen benchmark, or labelled cases with --cohort",
        )
    benchmark = read_frozen(folder)
    if unknown := sorted(set(names) - set(benchmark.tasks)):
        raise UsageError(
            f"the benchmark has no task {unknown[0]!r}",
            why=f"It has {', '.join(benchmark.tasks)}",
        )
    chosen = [t for name, t in benchmark.tasks.items() if not names or name in names]
    return [_frozen_task(task) for task in chosen]


def embed_task(
    task: Task,
    encoders: tuple[Encoder, ...],
    preset: str,
    device: torch.device,
    cache: TensorCache,
    use_masks: bool,
    field_mm: tuple[float, float, float] | None,
    reading: ReadOptions = DEFAULT,
) -> TaskFeatures:
    """Read every case of the task once.

    Raises:
        CohortError: no case can be used, or the same image lies in two classes.
    """
    use_masks = use_masks and masks_of_all_or_none(task.cohort)
    sources = [FileSource(case, use_masks, reading) for case in task.cohort.cases]
    chosen, reason = choose_preset(preset, sources)
    embedder = Embedder(encoders, chosen, field_mm, device, cache)
    done, failed = embed_all(embedder, sources)
    if not done:
        raise CohortError("no case could be used", why=f"The first one: {failed[0].error}")
    refuse_copies_in_two_classes(done)
    return TaskFeatures(
        features={d.case.case_id: d.features for d in done},
        facts={d.case.case_id: d.facts for d in done},
        usable=task.cohort.without({f.case.case_id for f in failed}),
        patient_of={c.case_id: c.patient_id for c in task.cohort.cases},
        failed=tuple(failed),
        preset=chosen,
        reason=reason,
        region=_region(use_masks, field_mm, chosen),
        finding_is_known=_is_known(use_masks, field_mm, chosen),
    )


def _draw(cohort: Cohort, plan: EpisodePlan) -> list[Shots]:
    drawn = []
    for n_shot in plan.n_shots:
        try:
            episodes = sample_episodes(cohort, n_shot, plan.n_query, plan.n_episodes, plan.seed)
        except EpisodeError as error:
            drawn.append(Shots(n_shot, error=str(error)))
        else:
            drawn.append(Shots(n_shot, episodes))
    return drawn


def _frozen_task(task: FrozenTask) -> Task:
    cohort = load_cohort(task.manifest)
    for n_shot, episodes in task.shots.items():
        for number, episode in enumerate(episodes):
            if shared := shared_patients(episode, cohort):
                raise EpisodeError(
                    f"patient {shared[0]} is in support and query of the same episode",
                    case=f"{task.name}, {n_shot} shots, episode {number}",
                )
    return Task(task.name, cohort, task.class_names, partial(_available, task=task))


def _available(cohort: Cohort, task: FrozenTask) -> list[Shots]:
    here = frozenset(cohort.by_id)
    restricted = []
    for n_shot, episodes in task.shots.items():
        kept, dropped = restrict_all(episodes, here)
        error = None if kept else "every episode lost all cases of some class"
        lost = dropped.support + dropped.query
        restricted.append(Shots(n_shot, kept, dropped.episodes, lost, error))
    return restricted


def _is_known(use_masks: bool, field_mm: tuple[float, ...] | None, preset: Preset) -> bool:
    """Whether the region is the finding; of a field of view it is all, unless it is searched."""
    if field_mm is not None:
        return preset.region == "learned"
    return use_masks or preset.knows_the_finding


def _region(use_masks: bool, field_mm: tuple[float, ...] | None, preset: Preset) -> str:
    if field_mm is not None:
        field = f"central field of {' × '.join(f'{f:g}' for f in field_mm)} mm"
        return f"found (learned) in the {field}" if preset.region == "learned" else field
    return "mask" if use_masks else f"found ({preset.region})"
