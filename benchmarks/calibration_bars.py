"""Do probabilities mean what they say, and which calibrator makes them?

    python benchmarks/calibration_bars.py --benchmark DIR --images docs/images

Every calibrator on the very same held-out cases and queries of frozen episodes. `medfs-base` was
trained on other patients of some of these cohorts; `ridge` on nothing.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_figures import reliability_svg, slope_and_intercept
from jaxtyping import Float, Int, Shaped
from tables import markdown, progress, section, write_json

from medfs.calibration.choice import AUTO, CALIBRATORS, calibrate
from medfs.calibration.held_out import held_out_logits
from medfs.calibration.priors import temperature_prior
from medfs.core.episodes import Episode
from medfs.core.features import Features
from medfs.core.threads import single_thread
from medfs.metrics.calibration import ece, ece_floor, nll
from medfs.metrics.intervals import patient_bootstrap_weights
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.fit import support_set
from medfs.workflows.judging import Known
from medfs.workflows.recipes import Recipe, recipe
from medfs.workflows.tasks import embed_task, frozen_tasks

NAMES = (*CALIBRATORS, AUTO)
# How common the second class is made, of two.
RARE = 0.1


@dataclass(frozen=True, eq=False)
class Said:
    """Calibrated log-scores of all queries of a cell, episodes pooled."""

    scores: Float[np.ndarray, "query way"]
    labels: Int[np.ndarray, "query"]
    patients: Shaped[np.ndarray, "query"]

    def probabilities(self, prevalence: Sequence[float] | None = None) -> np.ndarray:
        scores = self.scores if prevalence is None else self.scores + np.log(prevalence)
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def rare(self, seed: int) -> np.ndarray:
        """Which queries stay if the second class is made rare."""
        second = np.random.default_rng(seed).permutation(np.flatnonzero(self.labels == 1))
        kept = self.labels == 0
        kept[second[: round(kept.sum() * RARE / (1 - RARE))]] = True
        return kept


def main() -> None:
    args = _arguments()
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    cells: dict[tuple[str, str, int, str], Said] = {}
    picked: dict[tuple[str, int], list[str]] = defaultdict(list)
    for task in frozen_tasks(args.benchmark, args.task):
        seen = embed_task(
            task, encoders, "auto", choose_device("cpu"), TensorCache.default(), True, None
        )
        known = Known(task.class_names, seen.patient_of, seen.features)
        for shots in task.episodes(seen.usable):
            for name in args.mapper:
                progress(f"{task.name}, {shots.n_shot} shots, {name}")
                drawn = shots.drawn[: args.episodes]
                said, names = _cell(known, drawn, recipe(name, encoders), args.seed)
                picked[name, shots.n_shot] += names
                cells |= {(name, task.name, shots.n_shot, c): s for c, s in said.items()}
    rows = [_figures(key, said, args) for key, said in cells.items()]
    for name in args.mapper:
        own = [row for row in rows if row["mapper"] == name]
        section(f"{name}: NLL of queries, classes equally common", _nll_table(own))
        section(f"{name}: with `auto`", _honesty_table(own), _picked(picked, name))
        section(f"{name}: one class made rare (90 : 10), `auto`", _rare_table(own))
        _picture(args.images, name, cells)
    write_json(args.out, {"schema_version": 1, "rows": rows})


@torch.no_grad()
def _cell(
    known: Known, episodes: Sequence[Episode], used: Recipe, seed: int
) -> tuple[dict[str, Said], list[str]]:
    scores: dict[str, list[np.ndarray]] = defaultdict(list)
    labels, patients, picked = [], [], []
    with single_thread():
        for number, episode in enumerate(episodes):
            support = support_set(*zip(*_cases(known, episode.support), strict=True))
            query = list(_cases(known, episode.query))
            logits = used.mapper(support).logits(Features.stack([f for f, _, _ in query]))
            held_out = held_out_logits(support, used.mapper, seed + number)
            prior = temperature_prior(used.name, support)
            for name in NAMES:
                chosen = calibrate(held_out, prior, name)
                scores[name].append(chosen.calibration.apply(logits).double().numpy())
            picked.append(chosen.name)
            labels += [known.class_names.index(name) for _, name, _ in query]
            patients += [patient for _, _, patient in query]
    told = (np.array(labels), np.array(patients))
    return {n: Said(np.concatenate(parts), *told) for n, parts in scores.items()}, picked


def _cases(known: Known, side: dict[str, tuple[str, ...]]) -> Iterator[tuple[Features, str, str]]:
    for name in known.class_names:
        for case in side[name]:
            yield known.features[case], name, known.patient_of[case]


def _figures(
    key: tuple[str, str, int, str], said: Said, args: argparse.Namespace
) -> dict[str, Any]:
    mapper, task, shots, calibrator = key
    p = said.probabilities()
    row = {"mapper": mapper, "task": task, "shots": shots, "calibrator": calibrator}
    row |= {"way": p.shape[1], "nll": nll(p, said.labels)}
    row |= {"ece": ece(p, said.labels), "floor": ece_floor(p, args.seed, 20)}
    if calibrator == AUTO:
        weights = patient_bootstrap_weights(said.patients, args.replicates, args.seed)
        weights = np.vstack([np.ones(len(said.labels)), weights])
        both = slope_and_intercept(p, said.labels, weights)
        for at, name in enumerate(("slope", "intercept")):
            low, high = np.percentile(both[1:, at], [2.5, 97.5])
            row[name] = [float(both[0, at]), float(low), float(high)]
        if p.shape[1] == 2:
            row |= _when_rare(said, args.seed)
    return row


def _when_rare(said: Said, seed: int) -> dict[str, Any]:
    kept = said.rare(seed)
    labels = said.labels[kept]
    found: dict[str, Any] = {}
    for name, prevalence in (("plain", None), ("shifted", (1 - RARE, RARE))):
        p = said.probabilities(prevalence)[kept]
        found[f"rare_{name}"] = {
            "nll": nll(p, labels),
            "excess_ece": ece(p, labels) - ece_floor(p, seed, 20),
            "mean": float(p[:, 1].mean()),
        }
    return found | {"rare_share": float((labels == 1).mean())}


def _nll_table(rows: Sequence[dict[str, Any]]) -> str:
    tasks = list(dict.fromkeys(r["task"] for r in rows))
    shots = sorted({r["shots"] for r in rows})
    by = {(r["task"], r["shots"], r["calibrator"]): r for r in rows}
    lines = []
    for name in NAMES:
        values = [" / ".join(f"{by[t, k, name]['nll']:.3f}" for k in shots) for t in tasks]
        mean = " / ".join(f"{np.mean([by[t, k, name]['nll'] for t in tasks]):.3f}" for k in shots)
        lines.append((name, *values, mean))
    ways = [next(r["way"] for r in rows if r["task"] == t) for t in tasks]
    lines.append(("knowing nothing (log N)", *(f"{np.log(w):.3f}" for w in ways), ""))
    return markdown((f"K = {' / '.join(map(str, shots))}", *tasks, "mean"), lines)


def _honesty_table(rows: Sequence[dict[str, Any]]) -> str:
    head = ("task, K", "ECE less floor, none", "ECE less floor", "slope (95 %)", "intercept (95 %)")
    alone = {(r["task"], r["shots"]): r for r in rows if r["calibrator"] == "none"}
    lines = []
    for r in sorted((r for r in rows if r["calibrator"] == AUTO), key=lambda r: r["task"]):
        none = alone[r["task"], r["shots"]]
        interval = (f"{v[0]:.2f} ({v[1]:.2f}–{v[2]:.2f})" for v in (r["slope"], r["intercept"]))
        gaps = (f"{x['ece'] - x['floor']:.3f}" for x in (none, r))
        lines.append((f"{r['task']}, {r['shots']}", *gaps, *interval))
    return markdown(head, lines)


def _rare_table(rows: Sequence[dict[str, Any]]) -> str:
    head = (
        "task, K",
        "rare class",
        "mean p, plain",
        "with prevalence",
        "NLL",
        "with",
        "ECE",
        "with",
    )
    lines = []
    for r in sorted((r for r in rows if "rare_plain" in r), key=lambda r: r["task"]):
        both = (r["rare_plain"], r["rare_shifted"])
        figures = [f"{b[what]:.3f}" for what in ("mean", "nll", "excess_ece") for b in both]
        lines.append((f"{r['task']}, {r['shots']}", f"{r['rare_share']:.3f}", *figures))
    return markdown(head, lines)


def _picked(picked: dict[tuple[str, int], list[str]], mapper: str) -> str:
    told = [
        f"K = {k}: " + ", ".join(f"{names.count(n)} {n}" for n in NAMES if n in names)
        for (name, k), names in picked.items()
        if name == mapper
    ]
    return "Chosen: " + "; ".join(told) + "."


def _picture(folder: Path | None, mapper: str, cells: dict[Any, Said]) -> None:
    if folder is None:
        return
    panels = []
    for shots in sorted({key[2] for key in cells}):
        curves = []
        for name in ("none", AUTO):
            own = [s for k, s in cells.items() if (k[0], k[2], k[3]) == (mapper, shots, name)]
            two = [s for s in own if s.scores.shape[1] == 2]
            p = np.concatenate([s.probabilities() for s in two])
            curves.append((name, p, np.concatenate([s.labels for s in two])))
        panels.append((f"K = {shots}", curves))
    reliability_svg(folder / f"reliability-{mapper}.svg", panels)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of frozen episodes")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--mapper", nargs="+", default=["medfs-base", "ridge"])
    parser.add_argument("--episodes", type=int, default=30, help="the first so many of each cell")
    parser.add_argument("--replicates", type=int, default=300, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=Path, help="folder for reliability diagrams")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
