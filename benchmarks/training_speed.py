"""How fast is a step of meta-training with an encoder, beside easyfsl and higher?

    python benchmarks/training_speed.py

The same small 3D encoder, the same synthetic volumes, forward and backward. Prototypical networks:
easyfsl takes one task after the other, medfs a batch of tasks. MAML, exact second order, with the
whole encoder adapted: higher against medfs. Then the share of the generator in a step. All are
timed in turn in one run; figures are medians over the rounds.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mapper_speed import in_turn
from reference_methods import easyfsl_methods
from tables import markdown, progress, section, write_json

from medfs.core.tasks import TaskBatch
from medfs.features.stages import StageNet
from medfs.mappers.learners import EndToEndLearner, EndToEndMAML
from medfs.mappers.prototype import Prototype
from medfs.synthesis.plans import TaskPlan
from medfs.synthesis.tasks import sample_tasks
from medfs.workflows.meta.train import query_losses

INNER_STEPS = 3


def main() -> None:
    args = _arguments()
    plan = TaskPlan(n_tasks=args.tasks, n_way=3, n_shot=5, n_query=5, shape=(args.side,) * 3)
    batch = sample_tasks(plan, torch.Generator().manual_seed(0)).batch()
    progress("prototypical networks")
    metric = in_turn(_metric_runs(batch, args.bfloat16), args.rounds)
    progress("MAML")
    maml = in_turn(_maml_runs(batch), args.rounds)
    progress("generator")
    drawn = in_turn(_generator_runs(plan, batch), args.rounds)
    size = (
        f"{args.tasks} tasks, 3-way 5-shot, 15 queries, {args.side}³ voxels, "
        f"{torch.get_num_threads()} threads"
    )
    section(f"Prototypical networks, forward and backward: {size}", _table(metric, args.tasks))
    section(f"MAML, {INNER_STEPS} inner steps, forward and backward", _table(maml, args.tasks))
    step, generator = (median(drawn[name]) for name in drawn)
    print(f"drawing the tasks takes {generator / step:.2f} of a step's time\n")
    write_json(args.out, {"settings": vars(args) | {"out": None}, "seconds": metric | maml | drawn})


def _metric_runs(batch: TaskBatch, bfloat16: bool) -> dict[str, Callable[[], Any]]:
    net = StageNet()
    model = easyfsl_methods().PrototypicalNetworks(net)

    def easyfsl() -> None:
        for t in range(len(batch)):
            model.process_support_set(batch.support[t], batch.support_labels[t])
            scores = model(batch.query[t])
            torch.nn.functional.cross_entropy(scores, batch.query_labels[t]).backward()

    kinds = {
        "medfs": (torch.float32, False),
        "medfs, channels last": (torch.float32, True),
    }
    if bfloat16:
        kinds["medfs, channels last, bfloat16"] = (torch.bfloat16, True)
    runs = {"easyfsl": easyfsl}
    for name, (precision, last) in kinds.items():
        runs[name] = _backward(_prototypes(precision, last), batch)
    return runs


def _prototypes(precision: torch.dtype, channels_last: bool) -> EndToEndLearner:
    net = StageNet()
    return EndToEndLearner(net, Prototype(net.n_features, "none"), precision, channels_last)


def _backward(learner: Callable[[TaskBatch], Any], batch: TaskBatch) -> Callable[[], None]:
    def run() -> None:
        query_losses(learner(batch), batch).mean().backward()

    return run


def _maml_runs(batch: TaskBatch) -> dict[str, Callable[[], Any]]:
    import higher

    net = StageNet()
    module = torch.nn.Sequential(net, torch.nn.Linear(net.n_features, batch.n_way))
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01)
    loss = torch.nn.functional.cross_entropy

    def by_higher() -> None:
        for t in range(len(batch)):
            context = higher.innerloop_ctx(module, optimiser, copy_initial_weights=False)
            with context as (adapted, inner):
                for _ in range(INNER_STEPS):
                    inner.step(loss(adapted(batch.support[t]), batch.support_labels[t]))
                loss(adapted(batch.query[t]), batch.query_labels[t]).backward()

    ours = EndToEndMAML(StageNet(), net.n_features, steps=INNER_STEPS)
    return {"higher": by_higher, "medfs": _backward(ours, batch)}


def _generator_runs(plan: TaskPlan, batch: TaskBatch) -> dict[str, Callable[[], Any]]:
    generator = torch.Generator().manual_seed(1)
    return {
        "step": _backward(_prototypes(torch.float32, True), batch),
        "tasks": lambda: sample_tasks(plan, generator).batch(),
    }


def _table(seconds: dict[str, list[float]], n_tasks: int) -> str:
    base = median(next(iter(seconds.values())))
    rows = [
        (name, f"{n_tasks / median(times):.1f}", f"{base / median(times):.2f}")
        for name, times in seconds.items()
    ]
    return markdown(("", "episodes/s", "times the first"), rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=4, help="of a batch")
    parser.add_argument("--side", type=int, default=24, help="voxels along each axis")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bfloat16", action="store_true", help="time it too")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
