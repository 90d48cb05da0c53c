"""How fast mappers go through many tasks on cached features, beside easyfsl and higher.

    python benchmarks/mapper_speed.py

Five-way five-shot tasks with 75 queries each, drawn once; every method reads the same feature
matrix by the same indices, gathering included. All are timed in turn in one run; figures are
medians over the rounds. torch has as many threads as it takes by itself.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from reference_methods import (
    N_WAY,
    Adapter,
    Tasks,
    draw_tasks,
    easyfsl_methods,
    maml_by_higher,
)
from tables import markdown, progress, section, write_json
from torch import Tensor

from medfs.mappers.base import TensorMapper, query_logits
from medfs.mappers.embedding import Kind
from medfs.mappers.maml import MAML
from medfs.workflows.registries import MAPPERS

# Simple CNAPS factors a covariance of all features for every class of every task: fewer tasks do.
FEWER = 20
NOTE = (
    "easyfsl and higher go through a loop of tasks, medfs through blocks of tasks in one call "
    "each. Without a named embedding features are seen as they are, on either side; with "
    "`support` each task is standardised first, with `population` by learned statistics."
)


def main() -> None:
    args = _arguments()
    tasks = draw_tasks(args.tasks, args.features)
    methods = in_turn(on_cached_features(tasks, args.chunk), args.rounds)
    few = tasks.first(args.tasks // FEWER)
    slow = in_turn({"Simple CNAPS, medfs": _mapped(few, "simple-cnaps", "none", 4)}, args.rounds)
    maml = in_turn(maml_runs(few, args.chunk), args.rounds)
    size = f"{args.tasks:,} tasks, {args.features} features, {torch.get_num_threads()} threads"
    section(f"Logits of {size}", _table(methods, args.tasks, "ProtoNet, easyfsl"))
    section(f"Simple CNAPS, {len(few.support)} of them", _table(slow, len(few.support)))
    section(
        f"MAML, 5 steps, forward and backward, {len(few.support)} of them",
        _table(maml, len(few.support), "higher"),
    )
    print(NOTE)
    found = {"settings": vars(args) | {"out": str(args.out)}, "threads": torch.get_num_threads()}
    write_json(args.out, found | {"seconds": methods | slow | maml})


def on_cached_features(tasks: Tasks, chunk: int) -> dict[str, Callable[[], Tensor]]:
    """What is timed; each returns the logits of all tasks."""
    easyfsl = easyfsl_methods()
    centre = tasks.features.mean(dim=0)
    centred = replace(tasks, features=tasks.features - centre)
    simpleshot = easyfsl.SimpleShot(feature_centering=centre, feature_normalization=2)
    runs = {
        "ProtoNet, easyfsl": _looped(tasks, easyfsl.PrototypicalNetworks()),
        "ProtoNet, medfs": _mapped(tasks, "prototype", "none", chunk),
        "SimpleShot, easyfsl": _looped(tasks, simpleshot),
        "SimpleShot, medfs": _mapped(centred, "simpleshot", "none", chunk),
        "ridge (r2d2), medfs": _mapped(tasks, "r2d2", "none", chunk),
        "ProtoNet, `support`, medfs": _mapped(tasks, "prototype", "support", chunk),
        "ridge (r2d2), `population`, medfs": _mapped(tasks, "r2d2", "population", chunk),
    }
    for name in ("ProtoNet", "SimpleShot"):
        ours, theirs = (runs[f"{name}, {by}"]().argmax(dim=2) for by in ("medfs", "easyfsl"))
        assert float((ours == theirs).double().mean()) > 0.999  # noqa: S101  (ties by rounding)
    return runs


def _looped(tasks: Tasks, classifier: Any) -> Callable[[], Tensor]:
    def run() -> Tensor:
        logits = []
        for support, query in zip(tasks.support, tasks.query, strict=True):
            classifier.process_support_set(tasks.features[support], tasks.support_labels)
            logits.append(classifier(tasks.features[query]))
        return torch.stack(logits)

    return torch.no_grad()(run)


def _mapped(tasks: Tasks, name: str, embedding: Kind, chunk: int) -> Callable[[], Tensor]:
    mapper = MAPPERS.load(name)(tasks.features.shape[1], embedding)

    def run() -> Tensor:
        pairs = zip(tasks.support.split(chunk), tasks.query.split(chunk), strict=True)
        return torch.cat([_logits(mapper, tasks, *pair) for pair in pairs])

    return torch.no_grad()(run)


def _logits(mapper: TensorMapper, tasks: Tasks, support: Tensor, query: Tensor) -> Tensor:
    codes = torch.nn.functional.one_hot(tasks.support_labels, N_WAY).float()
    members = (codes / codes.sum()).expand(len(support), -1, -1)
    return query_logits(mapper, tasks.features[support], members, tasks.features[query])


def maml_runs(tasks: Tasks, chunk: int) -> dict[str, Callable[[], Tensor]]:
    """The same inner loop from the same start; each returns the meta-gradient of the start."""
    mapper = MAML(tasks.features.shape[1], "none")

    def loss(logits: Tensor) -> Tensor:
        labels = tasks.query_labels.expand(len(logits), -1)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())

    def medfs() -> Tensor:
        mapper.zero_grad()
        for pair in zip(tasks.support.split(chunk), tasks.query.split(chunk), strict=True):
            share = len(pair[0]) / len(tasks.support)
            (share * loss(_logits(mapper, tasks, *pair))).backward()
        return _gradient(mapper.start.parameters())

    start = dict(mapper.start)
    module = Adapter(start, N_WAY)

    def by_higher() -> Tensor:
        module.zero_grad()
        for support, query in zip(tasks.support, tasks.query, strict=True):
            rows = (tasks.features[support][None], tasks.support_labels[None])
            of_task = (*rows, tasks.features[query][None])
            rates = (mapper.log_rate.exp(), mapper.log_scale.exp())
            logits = maml_by_higher(module, *rates, of_task, mapper.steps)
            (loss(logits) / len(tasks.support)).backward()
        return _gradient(getattr(module, name) for name in start)

    _assert_same(medfs(), by_higher())
    return {"higher": by_higher, "medfs": medfs}


def _gradient(parameters: Iterable[Tensor]) -> Tensor:
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def _assert_same(one: Tensor, other: Tensor) -> None:
    """What is compared in time has to do the same: within a thousandth of the largest number."""
    near = 1e-3 * float(other.detach().abs().max())
    torch.testing.assert_close(one, other, rtol=0, atol=near)


def in_turn(runs: Mapping[str, Callable[[], Tensor]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round of each; a first round warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            took = time.perf_counter() - start
            if i:
                seconds[name].append(took)
        progress(f"round {i} of {rounds}")
    return seconds


def _table(seconds: Mapping[str, list[float]], n_tasks: int, reference: str | None = None) -> str:
    head = ["", "median, s", "fastest, s", "tasks/s"]
    rows = []
    for name, took in seconds.items():
        row = [name, f"{median(took):.3f}", f"{min(took):.3f}", f"{n_tasks / median(took):,.0f}"]
        if reference is not None:
            row.append(f"{median(took) / median(seconds[reference]):.2f}")
        rows.append(row)
    return markdown(head if reference is None else [*head, f"time / {reference}"], rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--chunk", type=int, default=100, help="tasks of medfs in one call")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write all numbers here, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
