"""How fast synthetic tasks are drawn, per scene and size of the volumes.

    python benchmarks/task_generator.py --threads 2

A batch is 8 two-way tasks with 5 support cases and 5 queries of every class. Batches are timed
after one that warms up; figures are the fastest of the rounds, in cases per second. Nothing is
cached: each batch is drawn anew.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from tables import markdown, progress, section, write_json

from medfs.synthesis.scenes import ALL_SCENES
from medfs.synthesis.tasks import TaskPlan, sample_tasks


def main() -> None:
    args = _arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    found = {
        scene: {side: cases_per_second((scene,), side, args.rounds, device) for side in args.sides}
        for scene in _said(ALL_SCENES)
    }
    found["all scenes"] = {
        side: cases_per_second(ALL_SCENES, side, args.rounds, device) for side in args.sides
    }
    where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
    rows = [[name, *(f"{rate:,.0f}" for rate in rates.values())] for name, rates in found.items()]
    head = ["cases/s", *(f"{side}³" for side in args.sides)]
    section(f"Synthetic tasks, {where}", markdown(head, rows))
    write_json(args.json, {"threads": torch.get_num_threads(), "device": str(device)} | found)


def cases_per_second(
    scenes: tuple[str, ...], side: int, rounds: int, device: torch.device
) -> float:
    """Of batches of 160 cases; the best round."""
    plan = TaskPlan(n_tasks=8, n_shot=5, n_query=5, shape=(side,) * 3, scenes=scenes)
    generator = torch.Generator().manual_seed(0)
    best = 0.0
    for number in range(rounds + 1):
        start = time.perf_counter()
        tasks = sample_tasks(plan, generator, device)
        # A GPU works on while Python goes ahead: reading a number waits for it.
        float(tasks.image[0, 0].sum())
        if number:
            best = max(best, tasks.labels.numel() / (time.perf_counter() - start))
    return best


def _said(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        progress(name)
        yield name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, help="of torch; as many as it takes by itself")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sides", type=int, nargs="+", default=[16, 24, 32], help="voxels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all numbers here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
