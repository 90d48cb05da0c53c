"""Many few-shot episodes of a cohort → how good and how honest mappers are on it.

`results.json`, schema version 2:

- `seed`, `medfs`, `classes` by task, `components` (features; by task what was decided and counted);
- `results`: per task, shot count and mapper the metrics of `EpisodeSummary`, or `error`;
- `comparisons`: per task, shot count and pair of mappers the paired differences of `compare`;
- `audits`: per task and shot count `shortcuts` (`audit_shortcuts`), `same_in_every_case` (shortcuts
  that tell nothing here) and `permuted_labels` by mapper (`audit_permuted`);
- `verdicts`: per task and mapper what the audits mean (`verdicts`).

The last two are empty if no audits were asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medfs.core.errors import FieldError
from medfs.core.features import Encoder
from medfs.storage.tensors import TensorCache
from medfs.workflows.asked import Asked
from medfs.workflows.bench import Bench
from medfs.workflows.candidates import at_home, extractors, methods
from medfs.workflows.components import Weights, build_encoders, choose_device
from medfs.workflows.recipes import AUTO
from medfs.workflows.tasks import (
    EpisodePlan,
    Task,
    TaskFeatures,
    cohort_task,
    embed_task,
    frozen_tasks,
)
from medfs.workflows.verdicts import verdicts

SCHEMA_VERSION = 2
_LISTS = ("results", "comparisons", "audits")


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
    mappers: tuple[str, ...] = (AUTO,)
    features: tuple[str, ...] = ("radiomics",)
    preset: str = "auto"
    use_masks: bool = True
    field_mm: tuple[float, float, float] | None = None
    weights: Weights = field(default_factory=dict)
    device: str = "auto"
    asked: Asked = field(default_factory=Asked)
    use_cache: bool = True
    audits: bool = True


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
    names = extractors(request.features, request.weights)
    encoders = build_encoders(names, request.weights, choose_device(request.device))
    judged = methods(request.mappers, request.features, encoders)
    failures: list[str] = []
    described: dict[str, Any] = {}
    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in _LISTS}
    tasks = _tasks(request)
    for task in tasks:
        progress(f"{task.name}: reading {len(task.cohort.cases)} cases")
        known = _embed(task, encoders, request)
        failures += [
            f"{task.name}: {f.error}" for f in known.failed if not isinstance(f.error, FieldError)
        ]
        described[task.name] = _describe(task, known)
        if too_small := described[task.name]["cases_smaller_than_field"]:
            progress(f"{task.name}: {too_small} scan(s) left out: smaller than the field")
        here = {n: at_home(asked, known.finding_is_known) for n, asked in judged.items()}
        bench = Bench(task, known, here, request.seed, request.audits, progress)
        for shots in task.episodes(known.usable):
            for name, rows in bench.judge(shots).items():
                lists[name] += rows
    results = {
        "schema_version": SCHEMA_VERSION,
        "medfs": version("medfs"),
        "seed": request.seed,
        "classes": {task.name: list(task.class_names) for task in tasks},
        "components": {
            "features": [e.identity for e in encoders],
            "calibrator": "auto",
            "tasks": described,
        },
        **lists,
        "verdicts": _verdicts(lists, request),
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


def _embed(task: Task, encoders: tuple[Encoder, ...], request: EvaluateRequest) -> TaskFeatures:
    return embed_task(
        task,
        encoders,
        request.preset,
        choose_device(request.device),
        TensorCache.default() if request.use_cache else TensorCache(None),
        request.use_masks,
        request.field_mm,
        request.asked.reading,
    )


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


def _verdicts(
    lists: Mapping[str, list[dict[str, Any]]], request: EvaluateRequest
) -> list[dict[str, Any]]:
    if not request.audits:
        return []
    return verdicts(lists["results"], lists["audits"], " + ".join(request.features))
