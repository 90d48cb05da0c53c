"""Synthetic tasks encoded once: thousands of different episodes come out of a few hundred tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from medfs.core.errors import EpisodeError
from medfs.core.features import Encoder
from medfs.core.patches import PatchBatch
from medfs.core.tasks import TaskBatch, balanced
from medfs.storage.files import sha256
from medfs.storage.tensors import TensorCache
from medfs.synthesis.plans import TaskPlan
from medfs.synthesis.tasks import SyntheticTasks, sample_tasks
from medfs.workflows.meta.directions import labels_by_chance, labels_by_direction

_CASES_AT_ONCE = 16
Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class FeaturePool:
    """Episodes from tasks whose cases are features.

    Attributes:
        features: of every case of every task.
        labels: of the cases, the same in all tasks.
        rule: what classes are: see `SyntheticTasks.labels`. Other rules than `factors` deal the
            cases of a task anew, and draw fewer shots where a class has not enough cases.
        ways_and_shots: drawn for a batch.
        plan: shares of wrong labels and of missing cases, queries.
        n_tasks: of a batch.
        identity: of what was pooled.
    """

    features: Float[Tensor, "task case feature"]
    labels: Int[Tensor, "case"]
    rule: Literal["factors", "directions", "none"]
    ways_and_shots: Callable[[np.random.Generator], tuple[int, int]]
    plan: TaskPlan
    n_tasks: int
    identity: str

    def sample(self, rng: np.random.Generator) -> TaskBatch:
        """Tasks of equally many classes; in each, classes and cases are drawn without replacement.

        Raises:
            EpisodeError: more ways or cases are asked for than the pool has.
        """
        n_way, n_shot = self.ways_and_shots(rng)
        if self.rule == "factors":
            labels_of = [self.labels.numpy()] * self.n_tasks
            drawn = [self._one(cases, n_way, n_shot, rng) for cases in labels_of]
            chosen = rng.integers(len(self.features), size=self.n_tasks)
        else:
            chosen = rng.integers(len(self.features), size=self.n_tasks)
            labels_of = [self._dealt(self.features[t].numpy(), n_way, rng) for t in chosen]
            fewest = min(int(np.bincount(cases[cases >= 0]).min()) for cases in labels_of)
            n_shot = max(1, min(n_shot, fewest - self.plan.n_query))
            drawn = [self._one(cases, n_way, n_shot, rng) for cases in labels_of]
        rows, labels = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        task = torch.from_numpy(chosen)
        items, s = self.features[task[:, None], rows], n_way * n_shot
        given, asked = labels[:, :s], labels[:, s:]
        return TaskBatch(
            items[:, :s] * (given >= 0)[..., None],
            given.clamp_min(0),
            balanced(given, n_way),
            items[:, s:],
            asked,
            balanced(asked, n_way),
            n_way,
        )

    def _dealt(
        self, rows: Float[np.ndarray, "case feature"], n_way: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        if self.rule == "none":
            return labels_by_chance(len(rows), n_way, rng)
        return labels_by_direction(rows, n_way, rng)

    def _one(
        self, cases: NDArray[np.int64], n_way: int, n_shot: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of one task and the labels given for them, support first; −1 is left out."""
        n_query, counts = self.plan.n_query, np.bincount(cases[cases >= 0])
        most = len(counts)
        if n_way > most or n_shot + n_query > counts.min():
            raise EpisodeError(
                f"the pool has no {n_way}-way episode of {n_shot} + {n_query} cases",
                why=f"It has {most} classes of {counts.min()} cases",
            )
        chosen = rng.permutation(most)[:n_way]
        drawn = np.stack(
            [rng.permutation(np.flatnonzero(cases == c))[: n_shot + n_query] for c in chosen]
        )
        support = self._given(n_way, n_shot, rng)
        query = np.repeat(np.arange(n_way), n_query)
        rows = np.concatenate([drawn[:, :n_shot].ravel(), drawn[:, n_shot:].ravel()])
        return rows, np.concatenate([support.ravel(), query])

    def _given(self, n_way: int, n_shot: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(way, shot): labels of the support; the first of each class is there and right."""
        labels = np.repeat(np.arange(n_way)[:, None], n_shot, axis=1)
        share = rng.uniform(*self.plan.label_noise)
        wrong = (labels + rng.integers(1, n_way, size=labels.shape)) % n_way
        given = np.where(rng.random(labels.shape) < share, wrong, labels)
        kept = n_shot - np.floor(rng.random(n_way) * self.plan.imbalance * n_shot)
        given = np.where(np.arange(n_shot) < kept[:, None], given, -1)
        given[:, 0] = labels[:, 0]
        return given


def fill_pool(
    plan: TaskPlan,
    n_tasks: int,
    n_cases: int | None,
    seed: int,
    encoders: Sequence[Encoder],
    device: torch.device,
    cache: TensorCache,
    progress: Progress = lambda _: None,
) -> tuple[Float[Tensor, "task case feature"], Int[Tensor, "case"]]:
    """Features of every case of `n_tasks` tasks with the most ways of the plan.

    A class has `n_cases` cases, or the most shots and queries of the plan.

    What the cache holds is used if the generator still draws the same first task.

    Returns:
        Features, and the labels, which are the same in all tasks.
    """
    n_cases = max(plan.shots) + plan.n_query if n_cases is None else n_cases
    whole = replace(
        plan, n_tasks=1, n_shot=1, n_query=n_cases - 1, label_noise=(0.0, 0.0), imbalance=0.0
    )
    generator = torch.Generator().manual_seed(seed)
    first = sample_tasks(whole, generator, device)
    names = [e.identity for e in encoders]
    key = cache.key("pool", repr(whole), str(n_tasks), str(seed), _print_of(first), *names)
    if (known := cache.get(key)) is not None:
        return known["features"], known["labels"]
    rows = []
    for number in range(n_tasks):
        tasks = first if number == 0 else sample_tasks(whole, generator, device)
        rows.append(_encoded(tasks, encoders))
        progress(1)
    features, labels = torch.stack(rows), first.labels[0].cpu()
    cache.put(key, {"features": features, "labels": labels})
    return features, labels


def _encoded(tasks: SyntheticTasks, encoders: Sequence[Encoder]) -> Float[Tensor, "case feature"]:
    image, roi, spacing = tasks.image[0], tasks.roi[0], tasks.spacing[0]
    rows = []
    with torch.inference_mode():
        for at in range(0, len(image), _CASES_AT_ONCE):
            some = slice(at, at + _CASES_AT_ONCE)
            batch = PatchBatch(image[some], roi[some], spacing[some])
            rows.append(torch.cat([e(batch).float().cpu() for e in encoders], dim=1))
    return torch.cat(rows).clone()


def _print_of(tasks: SyntheticTasks) -> str:
    return sha256(tasks.image.cpu().numpy().tobytes())
