"""Query logits of many episodes of simulated tasks, and their NLL at any temperature."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from simulated_tasks import NOISY, SIGNAL_FREE, SimulatedTask, Simulation

from medfs.calibration.held_out import HeldOutLogits, held_out_logits
from medfs.calibration.temperature import LogNormalPrior, fit_temperature
from medfs.core.episodes import Episode, SupportSet
from medfs.core.features import Features
from medfs.core.mapping import Mapper
from medfs.episodes.sampler import sample_episodes
from medfs.workflows.fit import support_set
from medfs.workflows.registries import MAPPERS

GRID = np.logspace(-1.5, 4, 551)


@dataclass(frozen=True)
class Plan:
    """How many episodes, and of how many the support's held-out logits are wanted too."""

    episodes: int
    queries: int
    held_out: int
    seed: int


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

    def at(self, temperature: float) -> float:
        """Pooled query NLL at one temperature for all."""
        return float(np.interp(np.log(temperature), np.log(GRID), self.pooled))

    def fitted(self, median: float, spread: float) -> float:
        """Query NLL when each episode's own support chooses its temperature under the prior."""
        prior = LogNormalPrior(median, spread)
        losses = [
            _nll(drawn, np.array([float(fit_temperature(drawn.held_out, prior))]))[0]
            for episodes in self.drawn.values()
            for drawn in episodes
            if drawn.held_out is not None
        ]
        return float(np.mean(losses)) if losses else float("nan")


def make_cell(
    name: str,
    n_shot: int,
    tasks: Sequence[SimulatedTask],
    simulation: Simulation,
    plan: Plan,
) -> Cell:
    """Adapt a mapper in every episode of every task."""
    n_features = next(iter(simulation.features.values())).joined().shape[1]
    mapper = MAPPERS.load(name)(n_features).double()
    drawn, curves = {}, {}
    for task in tasks:
        episodes = sample_episodes(task.cohort, n_shot, plan.queries, plan.episodes, plan.seed)
        drawn[task.name] = [
            _draw(mapper, task, simulation, episode, plan.seed + i if i < plan.held_out else None)
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
