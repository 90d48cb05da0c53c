"""The numbers of configs/calibration/temperature.yaml, chosen on simulated cohorts alone.

    python benchmarks/temperature_prior.py

For every mapper and shot count: the temperature with the smallest query NLL over many few-shot
episodes of simulated tasks, how much it differs between tasks, and how the width of the prior
changes the NLL of the temperatures that medfs then fits to each support set.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from simulated_tasks import NOISY, SIGNAL_FREE, SimulatedTask, Simulation, simulate, tasks_of
from tables import markdown, progress, section, write_json

from medfs.calibration.held_out import HeldOutLogits, held_out_logits
from medfs.calibration.temperature import LogNormalPrior, fit_temperature
from medfs.core.episodes import Episode, SupportSet
from medfs.core.features import Features
from medfs.core.mapping import Mapper
from medfs.episodes.sampler import sample_episodes
from medfs.workflows.components import build_mapper
from medfs.workflows.fit import support_set
from medfs.workflows.threads import single_thread

GRID = np.logspace(-1.5, 4, 551)
SPREADS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Query logits of one episode, and held-out logits of its support where they were asked for."""

    logits: Float[np.ndarray, "query way"]
    labels: Int[np.ndarray, "query"]
    held_out: HeldOutLogits | None


@dataclass(frozen=True, eq=False)
class Cell:
    """One mapper and shot count: query NLL at every temperature of the grid, per task."""

    mapper: str
    n_shot: int
    drawn: dict[str, list[Drawn]]
    curves: dict[str, Float[np.ndarray, "temperature"]]

    @property
    def pooled(self) -> Float[np.ndarray, "temperature"]:
        """Mean over tasks, each with the same weight."""
        return np.mean(list(self.curves.values()), axis=0)

    @property
    def best(self) -> float:
        return float(GRID[np.argmin(self.pooled)])

    def best_of(self, kind: str) -> float:
        """The best temperature of the clean tasks alone, or of the noisy ones alone."""
        chosen = [
            curve
            for task, curve in self.curves.items()
            if task != SIGNAL_FREE and task.endswith(NOISY) == (kind == "noisy")
        ]
        return float(GRID[np.argmin(np.mean(chosen, axis=0))])

    def best_of_tasks(self) -> dict[str, float]:
        """The best temperature of each task; at the end of the grid where nothing can be learnt."""
        return {task: float(GRID[np.argmin(curve)]) for task, curve in self.curves.items()}

    @property
    def spread(self) -> float:
        """Standard deviation over tasks with a signal of the logarithm of their best."""
        known = [t for task, t in self.best_of_tasks().items() if task != SIGNAL_FREE]
        return float(np.std(np.log(known), ddof=1))


def main() -> None:
    args = _arguments()
    simulation = simulate(args.per_class, args.seed, args.cache, progress)
    tasks = tasks_of(simulation, args.seed)
    with single_thread():
        cells = [
            _cell(name, n_shot, tasks, simulation, args)
            for name in args.mapper
            for n_shot in args.shots
        ]
    priors = {name: _recommended(name, cells) for name in args.mapper}
    print(
        f"{len(simulation.cases)} simulated cases, {len(tasks)} binary tasks, {args.episodes} "
        f"episodes of each, {args.queries} queries per class, seed {args.seed}.\n"
    )
    section("The best temperature, all tasks weighing the same", _main_table(cells))
    section("The best temperature of each task", _task_table(cells))
    section(
        f"Query NLL of fitted temperatures by the prior's spread ({args.held_out} episodes a task)",
        _spread_table(cells, priors),
    )
    section("Recommended", _recommended_table(priors, cells))
    write_json(args.out, _as_json(cells, priors, vars(args)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mapper", nargs="+", default=["ridge", "prototype"])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 3, 5, 10, 20])
    parser.add_argument("--per-class", type=int, default=100, help="simulated cases per class")
    parser.add_argument("--episodes", type=int, default=100, help="per task and shot count")
    parser.add_argument("--queries", type=int, default=10, help="per class and episode")
    parser.add_argument("--held-out", type=int, default=20, help="episodes with held-out logits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


def _cell(
    name: str,
    n_shot: int,
    tasks: Sequence[SimulatedTask],
    simulation: Simulation,
    args: argparse.Namespace,
) -> Cell:
    progress(f"{name}, {n_shot} shots")
    mapper = build_mapper(name)
    drawn, curves = {}, {}
    for task in tasks:
        episodes = sample_episodes(task.cohort, n_shot, args.queries, args.episodes, args.seed)
        drawn[task.name] = [
            _draw(mapper, task, simulation, episode, args.seed + i if i < args.held_out else None)
            for i, episode in enumerate(episodes)
        ]
        curves[task.name] = np.mean([_nll(d, GRID) for d in drawn[task.name]], axis=0)
    return Cell(name, n_shot, drawn, curves)


def _draw(
    mapper: Mapper,
    task: SimulatedTask,
    simulation: Simulation,
    episode: Episode,
    held_out_seed: int | None,
) -> Drawn:
    support = _support(task, simulation, episode)
    query = [(case, name) for name in support.class_names for case in episode.query[name]]
    logits = mapper(support).logits(Features.stack([simulation.features[c] for c, _ in query]))
    return Drawn(
        logits.double().numpy(),
        np.array([support.class_names.index(name) for _, name in query]),
        None if held_out_seed is None else held_out_logits(support, mapper, held_out_seed),
    )


def _support(task: SimulatedTask, simulation: Simulation, episode: Episode) -> SupportSet:
    chosen = [(case, name) for name, cases in episode.support.items() for case in cases]
    return support_set(
        [simulation.features[case] for case, _ in chosen],
        [name for _, name in chosen],
        [task.cohort.by_id[case].patient_id for case, _ in chosen],
    )


def _nll(drawn: Drawn, temperatures: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    scaled = drawn.logits[None] / np.asarray(temperatures)[:, None, None]
    scaled = scaled - scaled.max(axis=2, keepdims=True)
    log_p = scaled - np.log(np.exp(scaled).sum(axis=2, keepdims=True))
    return -log_p[:, np.arange(len(drawn.labels)), drawn.labels].mean(axis=1)


def _recommended(name: str, cells: Sequence[Cell]) -> dict[str, float]:
    """Medians of the prior: the best at one shot, and the best over all larger shot counts."""
    single = [c.pooled for c in cells if c.mapper == name and c.n_shot == 1]
    few = [c.pooled for c in cells if c.mapper == name and c.n_shot > 1]
    best = {"single_shot": single, "few_shot": few}
    return {
        key: float(GRID[np.argmin(np.mean(curves, axis=0))])
        for key, curves in best.items()
        if curves
    }


def _fitted_nll(cell: Cell, median: float, spread: float) -> float:
    """Query NLL when each episode's own support chooses its temperature under the prior."""
    prior = LogNormalPrior(median, spread)
    losses = [
        _nll(drawn, np.array([float(fit_temperature(drawn.held_out, prior))]))[0]
        for episodes in cell.drawn.values()
        for drawn in episodes
        if drawn.held_out is not None
    ]
    return float(np.mean(losses)) if losses else float("nan")


def _at(cell: Cell, temperature: float) -> float:
    return float(np.interp(np.log(temperature), np.log(GRID), cell.pooled))


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
            f"{_at(c, 1):.4f}",
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


def _spread_table(cells: Sequence[Cell], priors: dict[str, dict[str, float]]) -> str:
    several = [c for c in cells if c.n_shot > 1]
    rows = [
        (
            c.mapper,
            str(c.n_shot),
            *(f"{_fitted_nll(c, priors[c.mapper]['few_shot'], s):.4f}" for s in SPREADS),
        )
        for c in several
    ]
    return markdown(("mapper", "shots", *(f"spread {s}" for s in SPREADS)), rows)


def _recommended_table(priors: dict[str, dict[str, float]], cells: Sequence[Cell]) -> str:
    rows = []
    for name, prior in priors.items():
        several = [c for c in cells if c.mapper == name and c.n_shot > 1]
        losses = [
            np.mean([_fitted_nll(c, prior["few_shot"], s) for c in several]) if several else np.nan
            for s in SPREADS
        ]
        spread = SPREADS[int(np.argmin(losses))] if several else float("nan")
        shown = (f"{prior.get(key, float('nan')):.2f}" for key in ("single_shot", "few_shot"))
        between = np.median([c.spread for c in cells if c.mapper == name])
        rows.append((name, *shown, f"{spread:.2f}", f"{between:.2f}"))
    head = ("mapper", "single_shot", "few_shot", "spread with least NLL", "median sd of log T")
    return markdown(head, rows)


def _as_json(
    cells: Sequence[Cell], priors: dict[str, dict[str, float]], settings: dict[str, object]
) -> dict[str, object]:
    rows = [
        {
            "mapper": c.mapper,
            "shots": c.n_shot,
            "best": c.best,
            "spread": c.spread,
            "nll_at_best": float(c.pooled.min()),
            "nll_at_1": _at(c, 1),
            "best_of_tasks": c.best_of_tasks(),
        }
        for c in cells
    ]
    return {"settings": {k: str(v) for k, v in settings.items()}, "cells": rows, "priors": priors}


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
