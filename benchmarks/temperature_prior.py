"""The numbers of configs/calibration/temperature.yaml, chosen on simulated cohorts alone.

    python benchmarks/temperature_prior.py

For every mapper and shot count: the temperature with the smallest query NLL over many few-shot
episodes of simulated tasks, how much it differs between tasks, and how the width of the prior
changes the NLL of the temperatures that medfs then fits to each support set.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from simulated_tasks import simulate, tasks_of
from tables import markdown, progress, section, write_json
from temperature_cells import GRID, Cell, Plan, make_cell

from medfs.core.threads import single_thread
from medfs.workflows.registries import MAPPERS

SPREADS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)


def main() -> None:
    args = _arguments()
    simulation = simulate(args.per_class, args.seed, args.cache, progress)
    tasks = tasks_of(simulation, args.seed)
    plan = Plan(args.episodes, args.queries, args.held_out, args.seed)
    cells = []
    for name, n_shot in product(args.mapper, args.shots):
        progress(f"{name}, {n_shot} shots")
        with single_thread():
            cells.append(make_cell(name, n_shot, tasks, simulation, plan))
    print(
        f"{len(simulation.cases)} simulated cases, {len(tasks)} binary tasks, {args.episodes} "
        f"episodes of each, {args.queries} queries per class, seed {args.seed}.\n"
    )
    section("The best temperature, all tasks weighing the same", _main_table(cells))
    section("The best temperature of each task", _task_table(cells))
    section(
        f"Query NLL of fitted temperatures by the prior's spread around the best T "
        f"({args.held_out} episodes a task)",
        _spread_table(cells),
    )
    section("Recommended", _recommended_table(cells))
    write_json(args.out, _as_json(cells, vars(args)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mapper", nargs="+", default=sorted(MAPPERS.entries()))
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 3, 5, 10, 20])
    parser.add_argument("--per-class", type=int, default=100, help="simulated cases per class")
    parser.add_argument("--episodes", type=int, default=100, help="per task and shot count")
    parser.add_argument("--queries", type=int, default=10, help="per class and episode")
    parser.add_argument("--held-out", type=int, default=20, help="episodes with held-out logits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


def _main_table(cells: Sequence[Cell]) -> str:
    head = (
        *("mapper", "shots", "best T", "clean tasks alone", "noisy tasks alone"),
        *("sd of log T over tasks", "NLL at best T", "NLL at T = 1"),
    )
    rows = [
        (
            c.mapper,
            str(c.n_shot),
            *(f"{t:.2f}" for t in (c.best, c.best_of("clean"), c.best_of("noisy"))),
            f"{c.spread:.2f}",
            f"{c.pooled.min():.4f}",
            f"{c.at(1):.4f}",
        )
        for c in cells
    ]
    return markdown(head, rows)


def _task_table(cells: Sequence[Cell]) -> str:
    head = ("mapper", "shots", *cells[0].curves)
    rows = [
        (c.mapper, str(c.n_shot), *(_temperature(t) for t in c.best_of_tasks().values()))
        for c in cells
    ]
    return markdown(head, rows)


def _temperature(value: float) -> str:
    return "→ ∞" if value >= GRID[-1] else f"{value:.2f}"


def _spread_table(cells: Sequence[Cell]) -> str:
    rows = [
        (c.mapper, str(c.n_shot), *(f"{c.fitted(c.best_of('clean'), s):.4f}" for s in SPREADS))
        for c in cells
        if c.n_shot > 1
    ]
    return markdown(("mapper", "shots", *(f"spread {s}" for s in SPREADS)), rows)


def _recommended_table(cells: Sequence[Cell]) -> str:
    """Medians by shot count, and the spread with the least mean NLL over several shots.

    Clean tasks decide: that labels carry little signal shows in the held-out logits, and a prior
    for the worst case would damp every good classifier.
    """
    rows = []
    for name in dict.fromkeys(c.mapper for c in cells):
        own = [c for c in cells if c.mapper == name]
        several = [c for c in own if c.n_shot > 1]
        losses = [sum(c.fitted(c.best_of("clean"), s) for c in several) for s in SPREADS]
        spread = f"{SPREADS[int(np.argmin(losses))]:.1f}" if several else ""
        medians = ", ".join(f"{c.n_shot}: {c.best_of('clean'):.3g}" for c in own)
        rows.append((name, medians, spread, f"{np.median([c.spread for c in own]):.2f}"))
    head = (
        "mapper",
        "median by shots, clean tasks",
        "spread with least NLL",
        "median sd of log T over tasks",
    )
    return markdown(head, rows)


def _as_json(cells: Sequence[Cell], settings: dict[str, object]) -> dict[str, object]:
    rows = [
        {
            "mapper": c.mapper,
            "shots": c.n_shot,
            "best": c.best,
            "spread": c.spread,
            "nll_at_best": float(c.pooled.min()),
            "nll_at_1": c.at(1),
            "nll_by_spread": {str(s): c.fitted(c.best, s) for s in SPREADS if c.n_shot > 1},
            "best_of_tasks": c.best_of_tasks(),
        }
        for c in cells
    ]
    return {"settings": {k: str(v) for k, v in settings.items()}, "cells": rows}


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
