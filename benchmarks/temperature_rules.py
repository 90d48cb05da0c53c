"""Could held-out cases move the temperature without harm? Rules beside the mapper's own one.

    python benchmarks/temperature_rules.py                   # simulated tasks
    python benchmarks/temperature_rules.py --benchmark DIR   # frozen episodes of real cohorts

Every rule sees the same held-out logits; what counts is the NLL of the queries, and their ECE less
its floor, tasks weighing alike. `spread s` is a temperature fitted under a log-normal prior of that
width; `spread c √K` is one whose width grows with the cases per class; `odds o : 1` takes the
fitted one only where patients held out from the fit prefer it by as much; `carried over` fits
around what is expected with one case less, as the held-out classifiers had.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rule_cells import Drawn, real_cells, simulated_cells
from tables import markdown, section, write_json

from medfs.calibration.choice import cross_validated
from medfs.calibration.temperature import LogNormalPrior, fit_prior, fit_scalar, fit_temperature
from medfs.core.threads import single_thread
from medfs.metrics.calibration import ece, ece_floor

_FACTORS = np.logspace(-0.9, 0.9, 37)
Rule = Callable[[Drawn], float]


def main() -> None:
    args = _arguments()
    with single_thread():
        cells = dict(simulated_cells(args) if args.benchmark is None else real_cells(args))
    rows = []
    for (kind, mapper, task, shots), drawn in cells.items():
        for name, rule in RULES.items():
            row = {"kind": kind, "mapper": mapper, "task": task, "shots": shots, "rule": name}
            rows.append(row | _figures(drawn, rule))
    for mapper in args.mapper:
        for kind in dict.fromkeys(key[0] for key in cells):
            own = [r for r in rows if (r["mapper"], r["kind"]) == (mapper, kind)]
            section(f"{mapper}, {kind}: NLL; ECE less floor", _table(own))
        drawn_of = {(key[2], key[3]): drawn for key, drawn in cells.items() if key[1] == mapper}
        section(f"{mapper}: best temperature over the mapper's own, by task", _best_table(drawn_of))
    write_json(args.out, {"schema_version": 1, "rows": rows})


def _fitted(spread: float = 0.0, growing: float = 0.0) -> Rule:
    def rule(d: Drawn) -> float:
        prior = LogNormalPrior(d.expected, spread + growing * math.sqrt(d.shots))
        return float(fit_temperature(d.held_out, prior))

    return rule


def _odds(spread: float, odds: float) -> Rule:
    def rule(d: Drawn) -> float:
        if d.held_out is None:
            return d.expected
        prior = LogNormalPrior(d.expected, spread)
        fitted, own = (cross_validated(f, d.held_out, prior) for f in (fit_scalar, fit_prior))
        better = fitted - own > math.log(odds)
        return float(fit_temperature(d.held_out, prior)) if better else d.expected

    return rule


def _carried(spread: float) -> Rule:
    def rule(d: Drawn) -> float:
        if d.held_out is None:
            return d.expected
        found = fit_temperature(d.held_out, LogNormalPrior(d.expected_before, spread))
        return float(found) / d.expected_before * d.expected

    return rule


RULES: dict[str, Rule] = {
    "prior": lambda d: d.expected,
    "spread 0.1": _fitted(0.1),
    "spread 0.2": _fitted(0.2),
    "spread 0.4": _fitted(0.4),
    "spread 0.03 √K": _fitted(growing=0.03),
    "spread 0.06 √K": _fitted(growing=0.06),
    "spread 0.1 √K": _fitted(growing=0.1),
    "spread 0.2, odds 1 : 1": _odds(0.2, 1),
    "spread 0.2, odds 3 : 1": _odds(0.2, 3),
    "spread 0.4, odds 3 : 1": _odds(0.4, 3),
    "spread 0.2, carried over": _carried(0.2),
}


def _figures(drawn: Sequence[Drawn], rule: Rule) -> dict[str, float]:
    scaled = [torch.log_softmax(d.logits / rule(d), dim=1) for d in drawn]
    log_p, labels = torch.cat(scaled), torch.cat([d.labels for d in drawn])
    p = log_p.exp().numpy()
    excess = ece(p, labels.numpy()) - ece_floor(p, 0, 10)
    return {"nll": -float(log_p[torch.arange(len(labels)), labels].mean()), "excess_ece": excess}


def _nll(drawn: Sequence[Drawn], factor: float) -> float:
    losses = [
        torch.nn.functional.cross_entropy(d.logits / (factor * d.expected), d.labels) for d in drawn
    ]
    return float(torch.stack(losses).mean())


def _table(rows: Sequence[dict]) -> str:
    shots = sorted({r["shots"] for r in rows})
    lines = []
    for name in RULES:
        cells = []
        for k in shots:
            own = [r for r in rows if r["rule"] == name and r["shots"] == k]
            nll, gap = (np.mean([r[what] for r in own]) for what in ("nll", "excess_ece"))
            cells.append(f"{nll:.4f}; {gap:.3f}")
        lines.append((name, *cells))
    return markdown(("rule", *(f"K = {k}" for k in shots)), lines)


def _best_table(drawn_of: Mapping[tuple[str, int], Sequence[Drawn]]) -> str:
    """One factor for all episodes of a task, which nobody can know: how far tasks differ."""
    shots = sorted({k for _, k in drawn_of})
    lines = []
    for task in dict.fromkeys(task for task, _ in drawn_of):
        best = []
        for k in shots:
            losses = [_nll(drawn_of[task, k], factor) for factor in _FACTORS]
            best.append(f"{_FACTORS[int(np.argmin(losses))]:.2f}")
        lines.append((task, *best))
    return markdown(("task", *(f"K = {k}" for k in shots)), lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, help="folder of frozen episodes")
    parser.add_argument("--task", nargs="+", default=[], help="of the benchmark; all by default")
    parser.add_argument("--mapper", nargs="+", default=["medfs-base", "ridge"])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5, 10, 20])
    parser.add_argument("--per-class", type=int, default=80, help="simulated cases per class")
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--queries", type=int, default=10, help="per class, of simulated tasks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
