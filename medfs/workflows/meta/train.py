"""φ* = argmin_φ E_T L(f_{M_φ(S)}, Q): the loop that trains a mapper on families of tasks."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

import medfs
from medfs.core.errors import EpisodeError
from medfs.core.tasks import TaskBatch
from medfs.export.checkpoint import write_checkpoint
from medfs.export.mapper_file import write_mapper
from medfs.storage.files import to_json, write_text
from medfs.workflows.meta.config import MetaConfig
from medfs.workflows.meta.learners import to_mapper_file
from medfs.workflows.meta.run import (
    CHECKPOINT,
    Listener,
    MetaRequest,
    Run,
    start,
    to_device,
    usual_tasks,
)
from medfs.workflows.meta.schedule import rate_at
from medfs.workflows.meta.state import TrainingState

MAPPER, REPORT = "mapper.safetensors", "training.json"
_SILENT = Listener()


def meta_train(request: MetaRequest, listener: Listener = _SILENT) -> dict[str, Any]:
    """Train φ until validation stops improving; the best average is written to OUT.

    Returns:
        The report, as in OUT/training.json.

    Raises:
        OutputError: OUT exists and the run is not resumed.
        ConfigError: parts that do not go together, or a checkpoint of another configuration.
        EpisodeError: a source cannot give the tasks asked for, or their loss is not finite.
    """
    config, loop = request.config, request.config.loop
    run = start(request, listener)
    state, losses, since, made = run.state, [], time.perf_counter(), 0
    with closing(run.tracker):
        while state.step < loop.steps and state.validations_since_best < loop.patience:
            # 1 and 2: a batch of tasks, each split into support and query.
            sampled = next(state.stream)
            batch = to_device(sampled.item, run.device)
            # 3: θ = M_φ(S) of every task, and its logits for the task's queries.
            logits = state.learner(batch)
            # 4: the loss of each task is that of its queries.
            loss = query_losses(logits, batch).mean()
            _refuse_infinite(loss.item(), f"tasks of {sampled.source!r}", state.step, request.out)
            # 5: the gradient of the mean is the mean of the tasks' gradients.
            state.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # 6: φ moves, and its running average follows.
            _update(state, config)
            losses.append(loss.detach())
            made += len(batch)
            if state.step % loop.validate_every == 0 or state.step == loop.steps:
                speed = made / (time.perf_counter() - since)
                _validate(run, request, torch.stack(losses).mean(), speed, listener)
                losses, since, made = [], time.perf_counter(), 0
    return _finish(run, request)


def query_losses(logits: Tensor, batch: TaskBatch) -> Tensor:
    """(task,): weighted cross-entropy of the queries of every task."""
    each = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.query_labels.flatten(), reduction="none"
    )
    return (each.view_as(batch.query_weights) * batch.query_weights).sum(dim=1)


def _refuse_infinite(loss: float, source: str, step: int, out: Path) -> None:
    if not math.isfinite(loss):
        raise EpisodeError(
            f"the loss of step {step} is not finite",
            case=source,
            why="The rate may be too high, or a feature too large",
            todo=f"Lower optimiser.rate; what was reached before is kept in {out}",
        )


def _update(state: TrainingState, config: MetaConfig) -> None:
    torch.nn.utils.clip_grad_norm_(state.learner.parameters(), config.optimiser.clip)
    for group in state.optimiser.param_groups:
        group["lr"] = rate_at(state.step, config.optimiser, config.loop)
    state.optimiser.step()
    state.average.update_parameters(state.learner)
    state.step += 1


def _validate(
    run: Run, request: MetaRequest, train_loss: Tensor, speed: float, listener: Listener
) -> None:
    """Loss and accuracy of the average on the validation tasks; the best so far is written."""
    state = run.state
    loss, accuracy = judge(state.average, run.validation)
    _refuse_infinite(loss, "the validation", state.step, request.out)
    entry = {
        "step": state.step,
        "train_loss": float(train_loss),
        "loss": loss,
        "accuracy": accuracy,
    }
    better = all(loss < earlier["loss"] for earlier in state.history)
    state.history.append(entry)
    if better:
        kept = state.average.module.state_dict()
        state.best = {name: t.detach().clone() for name, t in kept.items()}
        _write_mapper(run, request)
    write_checkpoint(request.out / CHECKPOINT, state.checkpoint(request.config))
    listener.validated({**entry, "tasks_per_second": speed})
    run.tracker.log(state.step, {**entry, "tasks_per_second": speed})


@torch.no_grad()
def judge(
    learner: Callable[[TaskBatch], Tensor], batches: Sequence[TaskBatch]
) -> tuple[float, float]:
    """Mean loss and mean accuracy over tasks; in both every class of a task counts alike."""
    losses, hits = [], []
    for batch in batches:
        logits = learner(batch)
        right = (logits.argmax(dim=-1) == batch.query_labels).to(logits.dtype)
        losses.append(query_losses(logits, batch))
        hits.append((right * batch.query_weights).sum(dim=1))
    return float(torch.cat(losses).mean()), float(torch.cat(hits).mean())


def _finish(run: Run, request: MetaRequest) -> dict[str, Any]:
    """OUT/training.json, and the mapper once more: it knows how long it was trained, on what."""
    report = {
        **_write_mapper(run, request, usual_tasks(run, request.config)),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "history": run.state.history,
    }
    write_text(request.out / REPORT, to_json(report))
    return report


def _write_mapper(
    run: Run, request: MetaRequest, beside: Mapping[str, Tensor] = MappingProxyType({})
) -> dict[str, Any]:
    """OUT/mapper.safetensors with the best average, and tensors beside it that are not φ.

    What the machine adds stays out of it: the same run gives the same bytes.
    """
    state, config = run.state, request.config
    training = {
        "config": config.to_dict(),
        "medfs": medfs.__version__,
        "steps": state.step,
        "tasks": state.step * config.loop.tasks,
        "best": min(state.history, key=lambda entry: entry["loss"]),
    }
    mapper = to_mapper_file(config, {**state.best, **beside}, run.encoders, training)
    write_mapper(request.out / MAPPER, mapper)
    return training
