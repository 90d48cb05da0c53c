"""Many few-shot episodes of a cohort → how good and how honest a mapper is on it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from medfs.core.episodes import Episode, SupportSet
from medfs.core.errors import EpisodeError, FieldError
from medfs.core.features import Features
from medfs.metrics.episodes import EpisodeOutcome, EpisodeSummary, summarize_episodes
from medfs.storage.tensors import TensorCache
from medfs.workflows.asked import Asked
from medfs.workflows.components import Weights, build_encoders, build_mapper, choose_device
from medfs.workflows.fit import fit, support_set
from medfs.workflows.tasks import (
    EpisodePlan,
    Shots,
    Task,
    TaskFeatures,
    cohort_task,
    embed_task,
    frozen_tasks,
)
from medfs.workflows.threads import single_thread

SCHEMA_VERSION = 1
_SHORTCUT_MAPPER = "ridge"


@dataclass(frozen=True)
class EvaluateRequest:
    """What `medfs evaluate` is asked for: one of `cohort` and `benchmark`, and how to judge it."""

    cohort: Path | None = None
    benchmark: Path | None = None
    tasks: tuple[str, ...] = ()
    shots: tuple[int, ...] = (1, 5, 10, 20)
    queries: int = 10
    episodes: int = 100
    seed: int = 0
    mappers: tuple[str, ...] = ("ridge",)
    features: tuple[str, ...] = ("radiomics",)
    preset: str = "auto"
    use_masks: bool = True
    field_mm: tuple[float, float, float] | None = None
    weights: Weights = field(default_factory=dict)
    device: str = "auto"
    asked: Asked = field(default_factory=Asked)
    use_cache: bool = True


@dataclass(frozen=True)
class EvaluateResult:
    """The content of results.json, and what could not be used."""

    results: dict[str, Any]
    failures: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know even if only the exit code is read."""
        if all("error" in row for row in self.results["results"]):
            return ("nothing was evaluated: see the reason in every row",)
        return ()


def evaluate(
    request: EvaluateRequest, progress: Callable[[str], None] = lambda _: None
) -> EvaluateResult:
    """Read every scan once, then adapt and judge in every episode.

    Raises:
        UserError: what cannot be used, and why.
    """
    device = choose_device(request.device)
    encoders = build_encoders(request.features, request.weights, device)
    mappers = {name: build_mapper(name, encoders) for name in request.mappers}
    cache = TensorCache.default() if request.use_cache else TensorCache(None)
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    described: dict[str, Any] = {}
    tasks = _tasks(request)
    for task in tasks:
        progress(f"{task.name}: reading {len(task.cohort.cases)} cases")
        known = embed_task(
            task,
            encoders,
            request.preset,
            device,
            cache,
            request.use_masks,
            request.field_mm,
            request.asked.reading,
        )
        failures += [
            f"{task.name}: {f.error}" for f in known.failed if not isinstance(f.error, FieldError)
        ]
        described[task.name] = _describe(task, known)
        if too_small := described[task.name]["cases_smaller_than_field"]:
            progress(f"{task.name}: {too_small} scan(s) left out: smaller than the field")
        for shots in task.episodes(known.usable):
            for name, mapper in mappers.items():
                progress(f"{task.name}: {shots.n_shot} shots, {name}")
                judge = Judge(task.class_names, known, mapper, name, request.seed)
                rows.append(_row(task, shots, judge, request))
    results = {
        "schema_version": SCHEMA_VERSION,
        "medfs": version("medfs"),
        "seed": request.seed,
        "classes": {task.name: list(task.class_names) for task in tasks},
        "components": {
            "features": [e.identity for e in encoders],
            "calibrator": "temperature",
            "tasks": described,
        },
        "results": rows,
    }
    return EvaluateResult(results, tuple(failures))


def _tasks(request: EvaluateRequest) -> list[Task]:
    if request.benchmark is not None:
        return frozen_tasks(request.benchmark, request.tasks)
    assert request.cohort is not None  # noqa: S101  (the command line gives one of the two)
    return [
        cohort_task(
            request.cohort,
            EpisodePlan(request.shots, request.queries, request.episodes, request.seed),
            request.asked,
        )
    ]


def _describe(task: Task, known: TaskFeatures) -> dict[str, Any]:
    too_small = sum(isinstance(f.error, FieldError) for f in known.failed)
    return {
        "preset": known.preset.identity,
        "preset_reason": known.reason,
        "region": known.region,
        "cases": len(task.cohort.cases),
        "patients": len(task.cohort.patients),
        "cases_failed": len(known.failed) - too_small,
        "cases_smaller_than_field": too_small,
        "warnings": list(task.cohort.warnings()),
    }


@dataclass(frozen=True)
class Judge:
    """Adapts to an episode's support and predicts its queries."""

    class_names: tuple[str, ...]
    known: TaskFeatures
    mapper: Any
    mapper_name: str
    seed: int

    def __call__(
        self, number: int, episode: Episode, features: dict[str, Features]
    ) -> EpisodeOutcome:
        support = self._support(episode, features)
        calibrated = fit(support, self.mapper, self.mapper_name, self.seed + number)
        query = [(case, name) for name in self.class_names for case in episode.query[name]]
        stacked = Features.stack([features[case] for case, _ in query])
        return EpisodeOutcome(
            calibrated.predict_proba(stacked).double().numpy(),
            np.array([self.class_names.index(name) for _, name in query]),
            np.array([self.known.patient_of[case] for case, _ in query]),
        )

    def _support(self, episode: Episode, features: dict[str, Features]) -> SupportSet:
        cases = [(case, name) for name in self.class_names for case in episode.support[name]]
        return support_set(
            [features[case] for case, _ in cases],
            [name for _, name in cases],
            [self.known.patient_of[case] for case, _ in cases],
        )


def _row(task: Task, shots: Shots, judge: Judge, request: EvaluateRequest) -> dict[str, Any]:
    head = {"task": task.name, "shots": shots.n_shot, "mapper": judge.mapper_name}
    if shots.error is not None:
        return {**head, "episodes": 0, "error": shots.error}
    started = time.perf_counter()
    summary = _summary(judge, shots.drawn, judge.known.features, request.seed)
    row = {
        **head,
        "episodes": len(shots.drawn),
        "episodes_skipped": shots.skipped,
        "cases_dropped": shots.dropped,
        **summary.as_dict(),
        "seconds": round(time.perf_counter() - started, 3),
    }
    if not request.use_masks:
        # Crops made around a finding leak its size through their field of view.
        plain = Judge(
            task.class_names,
            judge.known,
            build_mapper(_SHORTCUT_MAPPER, ()),
            _SHORTCUT_MAPPER,
            request.seed,
        )
        shortcut = _summary(plain, shots.drawn, judge.known.extents, request.seed)
        row["shortcut_extent_only"] = {"auroc": shortcut.as_dict()["auroc"]}
    return row


def _summary(
    judge: Judge, episodes: Sequence[Episode], features: dict[str, Features], seed: int
) -> EpisodeSummary:
    with single_thread():
        outcomes = [judge(i, episode, features) for i, episode in enumerate(episodes)]
    if not outcomes:
        raise EpisodeError("no episode is left to judge")
    return summarize_episodes(outcomes, seed=seed)
