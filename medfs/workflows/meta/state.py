"""Everything that changes during meta-training, and how it goes into a checkpoint and back."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medfs.core.errors import ConfigError, IntegrityError
from medfs.core.tasks import TaskBatch
from medfs.episodes.mixture import EpisodeStream, Sampled
from medfs.export.checkpoint import Checkpoint
from medfs.workflows.meta.config import MetaConfig
from medfs.workflows.meta.learners import TrainedLearner

Stream = EpisodeStream[Sampled[TaskBatch]]


@dataclass(eq=False)
class TrainingState:
    """The moving parts of a run.

    Attributes:
        learner: φ.
        average: its exponential moving average, which is validated and kept.
        optimiser: with its moments.
        stream: batches of tasks still to come.
        best: the average with the smallest validation loss so far.
        history: plain facts of every validation.
        step: number of steps made.
    """

    learner: TrainedLearner
    average: AveragedModel
    optimiser: torch.optim.AdamW
    stream: Stream
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0

    @classmethod
    def fresh(cls, config: MetaConfig, learner: TrainedLearner, stream: Stream) -> "TrainingState":
        moving = get_ema_multi_avg_fn(config.loop.average)  # type: ignore[no-untyped-call]
        average = AveragedModel(learner, multi_avg_fn=moving)
        optimiser = torch.optim.AdamW(
            learner.parameters(),
            lr=config.optimiser.rate,
            weight_decay=config.optimiser.weight_decay,
        )
        return cls(learner, average, optimiser, stream)

    @property
    def validations_since_best(self) -> int:
        losses = [entry["loss"] for entry in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def checkpoint(self, config: MetaConfig) -> Checkpoint:
        """All of it, as it stands."""
        tensors = _prefixed("learner.", self.learner.state_dict())
        tensors |= _prefixed("average.", self.average.state_dict())
        tensors |= _prefixed("best.", self.best)
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= _prefixed(f"optimiser.{number}.", moments)
        state = self.stream.state()
        return Checkpoint(self.step, config.to_dict(), state, list(self.history), tensors)

    def restore(self, checkpoint: Checkpoint, config: MetaConfig) -> None:
        """Go on from there.

        Raises:
            ConfigError: the checkpoint is of another configuration.
            IntegrityError: its tensors are not those of this learner.
        """
        _refuse_other(checkpoint.config, config.to_dict())
        tensors, state = checkpoint.tensors, self.optimiser.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _without("optimiser.", tensors).items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = tensor
        try:
            self.learner.load_state_dict(_without("learner.", tensors))
            self.average.load_state_dict(_without("average.", tensors))
            self.optimiser.load_state_dict({**state, "state": moments})
        except (RuntimeError, ValueError, KeyError) as error:
            raise IntegrityError(
                "the checkpoint does not fit the learner of this version of medfs",
                why=str(error).splitlines()[0],
                todo="Train anew into another folder",
            ) from error
        self.stream.restore(checkpoint.stream)
        self.best = _without("best.", tensors)
        self.history, self.step = list(checkpoint.history), checkpoint.step


def _prefixed(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    """Under a prefix; clones, since training goes on in place."""
    return {prefix + name: torch.as_tensor(t).detach().clone() for name, t in tensors.items()}


def _without(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _refuse_other(found: dict[str, Any], given: dict[str, Any]) -> None:
    one, other = _flat(found), _flat(given)
    differing = sorted(k for k in {*one, *other} if one.get(k) != other.get(k))
    if differing:
        key = differing[0]
        raise ConfigError(
            "the run was started with another configuration",
            why=f"{key} was {one.get(key)!r} and is {other.get(key)!r}",
            todo="Resume with the same configuration, or train into another folder",
        )


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {at: value}
    inner = [_flat(v, f"{at}.{k}" if at else str(k)) for k, v in value.items()]
    return {k: v for part in inner for k, v in part.items()}
