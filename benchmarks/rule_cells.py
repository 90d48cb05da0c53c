"""Query logits and held-out logits of many episodes, of simulated and of real tasks."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from simulated_tasks import NOISY, SIGNAL_FREE, simulate, tasks_of
from tables import progress
from torch import Tensor

from medfs.calibration.held_out import HeldOutLogits, held_out_logits
from medfs.calibration.priors import temperature_prior
from medfs.core.episodes import Episode, SupportSet
from medfs.core.features import Features
from medfs.episodes.sampler import sample_episodes
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.fit import support_set
from medfs.workflows.recipes import Recipe, recipe
from medfs.workflows.tasks import embed_task, frozen_tasks

# kind of task, mapper, task, shots
Key = tuple[str, str, str, int]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Query logits of an episode, held-out logits of its support, and what is expected of both."""

    logits: Float[Tensor, "query way"]
    labels: Int[Tensor, "query"]
    held_out: HeldOutLogits | None
    expected: float
    expected_before: float
    shots: int


def simulated_cells(args: argparse.Namespace) -> Iterator[tuple[Key, list[Drawn]]]:
    """Tasks of `simulated_tasks.py`: clean, noisy, and one without a signal."""
    simulation = simulate(args.per_class, args.seed, args.cache, progress)
    for task in tasks_of(simulation, args.seed):
        noisy = "noisy" if task.name.endswith(NOISY) else "clean"
        kind = "no signal" if task.name == SIGNAL_FREE else noisy
        patient_of = {case.case_id: case.patient_id for case in task.cohort.cases}
        progress(task.name)
        for shots in args.shots:
            sampled = sample_episodes(task.cohort, shots, args.queries, args.episodes, args.seed)
            episodes = list(sampled)
            for used in _mappers(args):
                drawn = _draw(used, episodes, simulation.features, patient_of, args.seed)
                yield (kind, used.name, task.name, shots), drawn


def real_cells(args: argparse.Namespace) -> Iterator[tuple[Key, list[Drawn]]]:
    """The first frozen episodes of each task."""
    device = choose_device("cpu")
    encoders = build_encoders(("radiomics",), {}, device)
    cache = TensorCache(args.cache) if args.cache else TensorCache.default()
    for task in frozen_tasks(args.benchmark, args.task):
        progress(task.name)
        seen = embed_task(task, encoders, "auto", device, cache, True, None)
        for found in task.episodes(seen.usable):
            if found.n_shot not in args.shots:
                continue
            episodes = found.drawn[: args.episodes]
            for used in _mappers(args):
                drawn = _draw(used, episodes, seen.features, seen.patient_of, args.seed)
                yield ("real", used.name, task.name, found.n_shot), drawn


def _mappers(args: argparse.Namespace) -> list[Recipe]:
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    return [recipe(name, encoders) for name in args.mapper]


@torch.no_grad()
def _draw(
    used: Recipe,
    episodes: Sequence[Episode],
    features: Mapping[str, Features],
    patient_of: Mapping[str, str],
    seed: int,
) -> list[Drawn]:
    found = []
    for number, episode in enumerate(episodes):
        cases = [(case, name) for name, own in episode.support.items() for case in own]
        support = support_set(
            [features[case] for case, _ in cases],
            [name for _, name in cases],
            [patient_of[case] for case, _ in cases],
        )
        asked = [
            (case, label)
            for label, name in enumerate(support.class_names)
            for case in episode.query[name]
        ]
        logits = used.mapper(support).logits(Features.stack([features[case] for case, _ in asked]))
        before = temperature_prior(used.name, _one_less(support)).median
        found.append(
            Drawn(
                logits.double(),
                torch.tensor([label for _, label in asked]),
                held_out_logits(support, used.mapper, seed + number),
                temperature_prior(used.name, support).median,
                before,
                min(support.n_shot),
            )
        )
    return found


def _one_less(support: SupportSet) -> SupportSet:
    """Without a case of each class that has several."""
    of_class = (torch.nonzero(support.labels == k).squeeze(1) for k in range(support.n_way))
    kept = [own[: max(len(own) - 1, 1)] for own in of_class]
    return support.subset(torch.cat(kept).sort().values)
