"""What each part of medfs-base is worth: the recipe without it, on real cohorts.

    python benchmarks/mapper_parts.py --data DIR --out parts

DIR holds benchmark/ with the manifests and the frozen episodes. Every row is `medfs-synthetic`
(synthetic tasks alone, so that one training serves all cohorts) trained anew with one part taken
out, all for the same number of steps; then judged on the first --episodes frozen episodes of every
shot count, with masks. All are calibrated as `medfs adapt` does. Plain ridge stands by for none but
the row that says so: what is compared is the mapper alone. Trainings that are in --out already are
not repeated.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import parts_of_mixture
from tables import markdown, progress, section, write_json

from medfs.core.features import Encoder
from medfs.export.mapper_file import read_mapper
from medfs.mappers.mixture import Mixture
from medfs.metrics.episodes import EpisodeOutcome, summarize_episodes
from medfs.metrics.paired import paired_differences
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device, load_mapper
from medfs.workflows.judging import Known, answers, calibrated
from medfs.workflows.meta.config import MetaConfig, load_config
from medfs.workflows.meta.run import Listener, MetaRequest
from medfs.workflows.meta.train import MAPPER, meta_train
from medfs.workflows.recipes import PLAIN, SHIPPED, Recipe, recipe
from medfs.workflows.registries import MAPPERS
from medfs.workflows.tasks import embed_task, frozen_tasks


@dataclass(frozen=True)
class Part:
    """One row.

    Attributes:
        says: what the table calls it.
        mapper: a class of `parts_of_mixture`, where it is not `Mixture` itself.
        settings: of the mapper.
        without: a source of tasks that is left out.
    """

    says: str
    mapper: type[Mixture] = Mixture
    settings: tuple[tuple[str, int], ...] = ()
    without: str | None = None


FULL = "full"
PARTS: Mapping[str, Part] = {
    FULL: Part("all parts"),
    "one-guess": Part("one guess in place of 24", settings=(("experts", 1),)),
    "own-statistics": Part(
        "the support's own spread in place of the learned one", parts_of_mixture.OwnStatistics
    ),
    "equal-odds": Part("guesses weigh alike: no evidence", parts_of_mixture.EqualOdds),
    "no-gains": Part("no learned weight of features", parts_of_mixture.NoGains),
    "no-directions": Part("no tasks by directions of features", without="directions"),
    "no-factors": Part("no tasks by latent factors", without="factors"),
    "no-chance": Part("no tasks labelled by chance", without="chance"),
    "intensity-alone": Part("intensity and texture alone", parts_of_mixture.IntensityAlone),
    "shape-alone": Part("size and outline alone", parts_of_mixture.ShapeAlone),
}
GUARDED = "all parts, plain ridge stands by"
NOTE = (
    "AUROC (macro one-vs-rest for three classes) and NLL: mean over episodes. Differences: the row "
    "minus all parts, paired, 95 % by bootstrap over patients (vessels: cases)."
)


def main() -> None:
    args = _arguments()
    files = {name: _trained(args, name) for name in args.part}
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    rows: list[dict[str, Any]] = []
    for task in [] if args.train_only else frozen_tasks(args.data / "benchmark", args.task):
        cpu, cache = choose_device("cpu"), TensorCache.default()
        seen = embed_task(task, encoders, "auto", cpu, cache, True, None)
        known = Known(task.class_names, seen.patient_of, seen.features)
        methods = _methods(files, encoders)
        for shots in task.episodes(seen.usable):
            progress(f"{task.name}: {shots.n_shot} shots")
            drawn = shots.drawn[: args.episodes]
            said = {n: answers(known, drawn, calibrated(r, args.seed)) for n, r in methods.items()}
            rows += _rows(task.name, shots.n_shot, said, args.seed)
        write_json(args.out / "results.json", {"steps": args.steps, "rows": rows})
    _print(rows)


def _trained(args: argparse.Namespace, name: str) -> Path:
    out = args.out / name
    if not (out / "training.json").is_file():
        progress(f"meta-training: {name}")
        listener = Listener(validated=lambda facts: progress(f"  {facts}"))
        target = f"parts_of_mixture:{PARTS[name].mapper.__name__}"
        if PARTS[name].mapper is Mixture:
            target = "medfs.mappers.mixture:Mixture"
        with mock.patch.dict(MAPPERS._builtin, {"mixture": (target, "")}):
            meta_train(MetaRequest(_wanted(PARTS[name], args.steps), out, resume=True), listener)
    return out / MAPPER


def _wanted(part: Part, steps: int) -> MetaConfig:
    config = load_config("medfs-synthetic")
    loop = replace(config.loop, steps=steps, validate_every=min(steps, config.loop.validate_every))
    train = {n: s for n, s in config.train.items() if n != part.without}
    mapper = replace(config.mapper, settings=dict(part.settings))
    return replace(config, loop=loop, train=train, mapper=mapper)


def _methods(files: Mapping[str, Path], encoders: Sequence[Encoder]) -> dict[str, Recipe]:
    """By what the table calls them; all parts first."""
    plain = recipe(PLAIN, encoders)
    made = {PARTS[name].says: _recipe(name, file, encoders) for name, file in files.items()}
    full = made[PARTS[FULL].says]
    return {**made, GUARDED: replace(full, fallback=plain), "plain ridge": plain}


def _recipe(name: str, file: Path, encoders: Sequence[Encoder]) -> Recipe:
    """With the shipped mapper's prior on the temperature, without a fallback."""
    target = f"{PARTS[name].mapper.__module__}:{PARTS[name].mapper.__name__}"
    with mock.patch.dict(MAPPERS._builtin, {"mixture": (target, "")}):
        mapper = load_mapper(read_mapper(file), str(file), encoders)
    return Recipe(SHIPPED, SHIPPED, mapper, "on trial")


def _rows(
    task: str, n_shot: int, said: Mapping[str, list[EpisodeOutcome]], seed: int
) -> list[dict[str, Any]]:
    full = next(iter(said.values()))
    rows = []
    for name, outcomes in said.items():
        summary = summarize_episodes(outcomes, seed=seed)
        gap = None if outcomes is full else paired_differences(outcomes, full, seed=seed)
        figures = {"auroc": summary.auroc.mean, "nll": summary.nll.mean}
        gaps = {} if gap is None else {metric: gap[metric].as_dict() for metric in figures}
        rows.append({"task": task, "shots": n_shot, "method": name, **figures, "minus_full": gaps})
    return rows


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    section("Mean of all tasks", _overall(rows))
    for metric in ("auroc", "nll"):
        section(metric, _table(rows, metric))
    print(NOTE)


def _overall(rows: Sequence[Mapping[str, Any]]) -> str:
    """Per method and K the mean over the tasks, as a difference from all parts."""
    shots = sorted({r["shots"] for r in rows})
    lines = []
    for method in dict.fromkeys(r["method"] for r in rows):
        cells = [method]
        for metric in ("auroc", "nll"):
            for k in shots:
                of_k = [r for r in rows if (r["method"], r["shots"]) == (method, k)]
                gaps = [r["minus_full"].get(metric, {}).get("mean", 0.0) for r in of_k]
                level = [r[metric] for r in of_k]
                first = method == rows[0]["method"]
                cells.append(f"{np.mean(level):.3f}" if first else f"{np.mean(gaps):+.3f}")
        lines.append(cells)
    return markdown(["", *(f"{m}, K = {k}" for m in ("AUROC", "NLL") for k in shots)], lines)


def _table(rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    head = ["K", "", *dict.fromkeys(r["task"] for r in rows)]
    lines = []
    for k in sorted({r["shots"] for r in rows}):
        for method in dict.fromkeys(r["method"] for r in rows):
            of_row = [r for r in rows if (r["method"], r["shots"]) == (method, k)]
            lines.append([str(k), method, *(_cell(r, metric) for r in of_row)])
    return markdown(head, lines)


def _cell(row: Mapping[str, Any], metric: str) -> str:
    gap = row["minus_full"].get(metric)
    if gap is None:
        return f"{row[metric]:.3f}"
    return f"{gap['mean']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds benchmark/")
    parser.add_argument("--out", type=Path, required=True, help="folder of trained mappers")
    parser.add_argument("--part", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--steps", type=int, default=1000, help="of every training")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--episodes", type=int, default=50, help="of every shot count")
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
