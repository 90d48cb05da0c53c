"""A run of meta-training: what it is given, and how it starts or goes on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medfs.core.errors import OutputError
from medfs.core.features import Encoder
from medfs.core.tasks import TaskBatch
from medfs.episodes.mixture import EpisodeStream, Sampled, Source
from medfs.export.checkpoint import read_checkpoint, write_checkpoint
from medfs.mappers.familiarity import familiarity_of
from medfs.mappers.learners import FeatureLearner
from medfs.storage.files import check_new
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import Weights, build_encoders, choose_device
from medfs.workflows.meta.config import MetaConfig
from medfs.workflows.meta.learners import build_learner
from medfs.workflows.meta.sources import Workshop, mixture
from medfs.workflows.meta.state import TrainingState
from medfs.workflows.meta.tracking import Tracker, open_tracker

CHECKPOINT, TRACKING = "checkpoint.safetensors", "tracking"
# Validation tasks, those of the first statistics and of the last come from streams of their own.
_VALIDATION, _STATISTICS, _FAMILIAR = 1, 2, 3
# Tasks that say what is usual: fewer have no tails, more say the same.
_FEWEST_TASKS, _MOST_TASKS = 2_000, 10_000


@dataclass(frozen=True)
class Listener:
    """Who is told how it goes.

    Attributes:
        encoded: called for each case or pooled task that a source encodes at the start.
        warn: told what was left out.
        validated: given the facts of every validation.
    """

    encoded: Callable[[int], None] = lambda _: None
    warn: Callable[[Sequence[str]], None] = lambda _: None
    validated: Callable[[dict[str, Any]], None] = lambda _: None


@dataclass(frozen=True)
class MetaRequest:
    """A run.

    Attributes:
        config: what is trained on what.
        out: the folder; new, unless the run goes on.
        resume: go on where it was stopped.
        device: auto, cpu or cuda:N.
        track: none, tensorboard or mlflow; written below `out`.
        use_cache: of features of pooled tasks and of cohorts.
        weights: of the backbones among the features, by name.
    """

    config: MetaConfig
    out: Path
    resume: bool = False
    device: str = "auto"
    track: str = "none"
    use_cache: bool = True
    weights: Weights = field(default_factory=dict)

    def check_out(self) -> None:
        """OutputError if OUT exists and is not resumed, or holds nothing to go on from."""
        if not self.resume:
            check_new(self.out)
        elif not (self.out / CHECKPOINT).is_file() and _foreign(self.out):
            raise OutputError(
                "there is no checkpoint to go on from",
                case=str(self.out),
                todo="Give the --out of a run that was stopped, or leave --resume out",
            )


def _foreign(out: Path) -> bool:
    """Whether the folder holds what no run left there before its first checkpoint."""
    if not out.is_dir():
        return out.exists()
    return any(
        p.name != TRACKING and not p.name.startswith(f".{CHECKPOINT}") for p in out.iterdir()
    )


@dataclass(frozen=True, eq=False)
class Run:
    """What the loop works on.

    Attributes:
        state: all that changes.
        train: where the stream of batches draws from.
        validation: batches drawn once.
        encoders: identities of the frozen feature extractors.
        device: where batches go.
        tracker: given the figures of every validation.
    """

    state: TrainingState
    train: Source[Sampled[TaskBatch]]
    validation: list[TaskBatch]
    encoders: list[str]
    device: torch.device
    tracker: Tracker


def start(request: MetaRequest, listener: Listener) -> Run:
    """Sources, learner and state: fresh, or where the checkpoint stands.

    Raises:
        OutputError: OUT exists and the run is not resumed, or holds nothing to go on from.
        ConfigError, EpisodeError, CohortError, IntegrityError: as their parts say.
    """
    config, out = request.config, request.out
    stored = out / CHECKPOINT
    request.check_out()
    told = {"mapper": config.mapper.name, "seed": config.seed}
    tracker = open_tracker(request.track, out / TRACKING, told)
    device = choose_device(request.device)
    cache = TensorCache.default() if request.use_cache else TensorCache(None)
    encoders = _encoders(request, device)
    workshop = Workshop(encoders, device, cache, config.loop.tasks, listener.encoded, listener.warn)
    train, asked = mixture(config.train, workshop), mixture(config.validation, workshop)
    validation = _drawn(asked, config, _VALIDATION, config.loop.validation_batches)
    learner = build_learner(config, validation[0].support.shape[-1]).to(device)
    state = TrainingState.fresh(config, learner, EpisodeStream(train, config.seed))
    judged = [to_device(batch, device) for batch in validation]
    run = Run(state, train, judged, [e.identity for e in encoders], device, tracker)
    # A run that was killed while it wrote leaves half a file under another name.
    for left in out.glob(f".{CHECKPOINT}.*"):
        left.unlink()
    if stored.is_file():
        state.restore(read_checkpoint(stored), config)
    else:
        _fit_statistics(run, train, config)
        write_checkpoint(stored, state.checkpoint(config))
    return run


def _encoders(request: MetaRequest, device: torch.device) -> tuple[Encoder, ...]:
    """The frozen feature extractors; none where an encoder is trained along."""
    if not request.config.features and not request.weights:
        return ()
    return build_encoders(request.config.features, request.weights, device)


def _fit_statistics(run: Run, train: Source[Sampled[TaskBatch]], config: MetaConfig) -> None:
    """Mean and deviation of the features that meta-training will see."""
    learner = run.state.learner
    if config.encoder is not None or not isinstance(learner, FeatureLearner):
        return
    batches = _drawn(train, config, _STATISTICS, config.loop.statistics_batches)
    learner.mapper.fit_population([to_device(batch, run.device) for batch in batches])
    run.state.average.module.load_state_dict(learner.state_dict())


def usual_tasks(run: Run, config: MetaConfig) -> dict[str, Tensor]:
    """What supports of the training tasks look like, as tensors beside φ.

    Nothing where items are volumes, or where training was too short to say what is usual.
    """
    steps, tasks = run.state.step, config.loop.tasks
    if config.encoder is not None or steps * tasks < _FEWEST_TASKS:
        return {}
    batches = _drawn(run.train, config, _FAMILIAR, min(steps, -(-_MOST_TASKS // tasks)))
    return familiarity_of(batches).tensors()


def _drawn(
    source: Source[Sampled[TaskBatch]], config: MetaConfig, purpose: int, n_batches: int
) -> list[TaskBatch]:
    rng = np.random.default_rng([config.seed, purpose])
    return [source.sample(rng).item for _ in range(n_batches)]


def to_device(batch: TaskBatch, device: torch.device) -> TaskBatch:
    """The same tasks on a device."""
    if batch.support.device == device:
        return batch
    names = (
        "support",
        "support_labels",
        "support_weights",
        "query",
        "query_labels",
        "query_weights",
    )
    return replace(batch, **{name: getattr(batch, name).to(device) for name in names})
