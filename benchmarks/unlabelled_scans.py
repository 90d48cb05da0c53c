"""What `medfs adapt --unlabelled` brings: scans of the same cohort without their labels.

    python benchmarks/unlabelled_scans.py --data DIR

DIR holds benchmark/ with the manifests and the frozen episodes. In every episode 20 or 100 cases
are drawn from patients who are neither in its support nor among its queries; medfs-base learns from
their features how far features usually spread there. Paired with medfs-base without them.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tables import markdown, progress, section, write_json

from medfs.core.episodes import Episode, SupportSet
from medfs.metrics.episodes import EpisodeOutcome, summarize_episodes
from medfs.metrics.paired import paired_differences
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.fit import fit
from medfs.workflows.judging import Adapt, Known, answers, calibrated
from medfs.workflows.recipes import SHIPPED, Recipe, recipe
from medfs.workflows.tasks import embed_task, frozen_tasks

METRICS = ("auroc", "nll")
NOTE = (
    "AUROC (macro one-vs-rest for three classes) and NLL: mean over episodes; ECE: top label, less "
    "its floor. Differences: with unlabelled scans minus without, 95 % by bootstrap over patients "
    "(vessels: cases)."
)


def main() -> None:
    args = _arguments()
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    shipped = recipe(SHIPPED, encoders)
    rows: list[dict[str, Any]] = []
    for task in frozen_tasks(args.data / "benchmark", args.task):
        cpu, cache = choose_device("cpu"), TensorCache.default()
        seen = embed_task(task, encoders, "auto", cpu, cache, True, None)
        known = Known(task.class_names, seen.patient_of, seen.features)
        for shots in task.episodes(seen.usable):
            progress(f"{task.name}: {shots.n_shot} shots")
            drawn = shots.drawn[: args.episodes]
            said = {0: answers(known, drawn, calibrated(shipped, args.seed))}
            for n in args.scans:
                adapt = _with_unlabelled(known, drawn, shipped, n, args.seed)
                said[n] = answers(known, drawn, adapt)
            rows += _rows(task.name, shots.n_shot, said, args.seed)
    for metric in METRICS:
        section(f"{metric.upper()}, with minus without", _table(rows, metric, args.scans))
    section("Every cell", _cells(rows))
    print(NOTE)
    write_json(args.out, {"rows": rows})


def _with_unlabelled(
    known: Known, episodes: Sequence[Episode], shipped: Recipe, n: int, seed: int
) -> Adapt:
    """As `medfs adapt --unlabelled`, with other cases in every episode."""

    def adapt(support: SupportSet, number: int) -> Any:
        others = _others(known, episodes[number])
        rng = np.random.default_rng([seed, number])
        chosen = [others[i] for i in rng.permutation(len(others))[:n]]
        rows = torch.cat([known.features[case].joined() for case in chosen])
        return fit(support, shipped.at_site(rows), seed + number).calibrated

    return adapt


def _others(known: Known, episode: Episode) -> list[str]:
    """Cases of patients who have no part in the episode."""
    sides = (episode.support, episode.query)
    used = {known.patient_of[c] for side in sides for cases in side.values() for c in cases}
    return sorted(c for c in known.features if known.patient_of[c] not in used)


def _rows(
    task: str, n_shot: int, said: Mapping[int, list[EpisodeOutcome]], seed: int
) -> list[dict[str, Any]]:
    rows = []
    for n, outcomes in said.items():
        s = summarize_episodes(outcomes, seed=seed)
        figures = {"auroc": s.auroc.mean, "nll": s.nll.mean, "ece": s.ece.value - s.ece.floor}
        gaps = {} if n == 0 else paired_differences(outcomes, said[0], seed=seed)
        minus = {metric: str(gaps[metric]) for metric in METRICS if gaps}
        rows.append({"task": task, "shots": n_shot, "scans": n, **figures, "minus": minus})
    return rows


def _table(rows: Sequence[Mapping[str, Any]], metric: str, scans: Sequence[int]) -> str:
    tasks = list(dict.fromkeys(r["task"] for r in rows))
    lines = []
    for n in scans:
        for k in sorted({r["shots"] for r in rows}):
            of_line = {r["task"]: r for r in rows if (r["scans"], r["shots"]) == (n, k)}
            lines.append([str(n), str(k), *(of_line[t]["minus"][metric] for t in tasks)])
    return markdown(["scans", "K", *tasks], lines)


def _cells(rows: Sequence[Mapping[str, Any]]) -> str:
    head, figures = ("task", "K", "scans", "AUROC", "NLL", "ECE"), (*METRICS, "ece")
    named = [(r["task"], str(r["shots"]), str(r["scans"])) for r in rows]
    told = [[f"{r[m]:.3f}" for m in figures] for r in rows]
    return markdown(head, [[*name, *cells] for name, cells in zip(named, told, strict=True)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds benchmark/")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--scans", nargs="+", type=int, default=[20, 100])
    parser.add_argument("--episodes", type=int, default=100, help="of every shot count")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
