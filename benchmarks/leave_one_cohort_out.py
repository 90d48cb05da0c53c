"""The mapper that comes with medfs, on real cohorts of which its training saw no label.

    python benchmarks/leave_one_cohort_out.py --data DIR --out loco

DIR holds benchmark/ with the manifests and the frozen episodes. Trains the recipe `medfs-base`
without the cohort that it is then judged on (nodules by a mapper that saw synthetic tasks and
vessels, vessels by one that saw synthetic tasks and nodules), and `medfs-synthetic` without any
real scan. In a column of its own, since it is another question: a mapper that saw other patients of
the same cohort, each query answered by the one of two that did not see its patient. Beside them on
the same episodes and the same radiomics: plain ridge, and logistic regression on features that were
standardised by the statistics of all cases, and on size alone.
Runs that are in --out already are not repeated. With --ablations, `medfs-synthetic` with a part of
it left out as well.
"""

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from reference_heads import logistic_on, statistics_of
from tables import markdown, progress, section, write_json

from medfs.core.cases import Cohort
from medfs.core.features import Encoder
from medfs.episodes.splits import split_patients
from medfs.metrics.episodes import EpisodeOutcome, EpisodeSummary, summarize_episodes
from medfs.metrics.paired import paired_differences
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.judging import Adapt, Known, answers, calibrated
from medfs.workflows.meta.config import MetaConfig, load_config
from medfs.workflows.meta.families import CohortTasks
from medfs.workflows.meta.run import MetaRequest
from medfs.workflows.meta.train import MAPPER, meta_train
from medfs.workflows.recipes import PLAIN, SHIPPED, Recipe, recipe
from medfs.workflows.tasks import embed_task, frozen_tasks

VESSELS = "vessels"
# What each run must not see, as the beginning of the names of its sources.
RUNS = {"no-nodules": "nodules", "no-vessels": VESSELS}
# Halves of the patients, by a hash of their ids.
FOLDS: dict[str, Literal["train", "validation"]] = {"fold-1": "train", "fold-2": "validation"}
IN_DOMAIN = "in-domain: other patients seen"
# Of medfs-synthetic: sources that are kept, and experts of the mixture.
ABLATIONS: dict[str, tuple[tuple[str, ...], int]] = {
    "one-expert": (("factors", "directions", "chance"), 1),
    "factors-alone": (("factors", "chance"), 24),
    "directions-alone": (("directions", "chance"), 24),
}
SIZE = "log_volume"
NOTE = (
    "AUROC (macro one-vs-rest for three classes) and NLL: mean over episodes; intervals: 95 % by "
    "bootstrap over patients (vessels: cases, since no patient ids exist), given the support sets. "
    "ECE: top label, less its floor. All calibrated as `medfs adapt` does, except for logistic "
    "regression, which is as it is."
)


def main() -> None:
    args = _arguments()
    files = {name: _trained(args, name) for name in (*RUNS, "synthetic", *FOLDS)}
    parts = {name: _trained(args, name) for name in (ABLATIONS if args.ablations else ())}
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    rows: list[dict[str, Any]] = []
    for task in frozen_tasks(args.data / "benchmark", args.task):
        progress(f"{task.name}: features of {len(task.cohort.cases)} cases")
        seen = embed_task(
            task, encoders, "auto", choose_device("cpu"), TensorCache.default(), True, None
        )
        known = Known(task.class_names, seen.patient_of, seen.features)
        methods = _methods(task.name, files, encoders, known, args.seed)
        for name, file in parts.items():
            methods[f"synthetic, {name}"] = calibrated(_as_shipped(file, encoders), args.seed)
        for shots in task.episodes(seen.usable):
            progress(f"{task.name}: {shots.n_shot} shots")
            said = {name: answers(known, shots.drawn, adapt) for name, adapt in methods.items()}
            both = [said.pop(fold) for fold in FOLDS]
            said[IN_DOMAIN] = _by_who_did_not_see(*both, _first_half(task.cohort))
            rows += _rows(task.name, shots.n_shot, said, args.seed)
        section(task.name, _table([row for row in rows if row["task"] == task.name]))
    print(NOTE)
    write_json(args.out / "results.json", {"rows": rows})


def _trained(args: argparse.Namespace, name: str) -> Path:
    out = args.out / name
    if not (out / MAPPER).is_file() or not (out / "training.json").is_file():
        progress(f"meta-training: {name}")
        real = name in RUNS or name in FOLDS
        config = load_config(SHIPPED if real else "medfs-synthetic")
        # The recipe looks for its manifests where it is run.
        with contextlib.chdir(args.data):
            meta_train(MetaRequest(_wanted(name, config), out.absolute(), resume=True))
    return out / MAPPER


def _wanted(name: str, config: MetaConfig) -> MetaConfig:
    if name in FOLDS:
        return _half(config, FOLDS[name])
    if name in ABLATIONS:
        sources, experts = ABLATIONS[name]
        mapper = replace(config.mapper, settings={"experts": experts})
        return replace(config, mapper=mapper, train={n: config.train[n] for n in sources})
    if name not in RUNS:
        return config
    kept = {n: s for n, s in config.train.items() if not n.startswith(RUNS[name])}
    return replace(config, train=kept)


def _half(config: MetaConfig, side: Literal["train", "validation"]) -> MetaConfig:
    halves = {
        name: replace(s, share=0.5, side=side) if isinstance(s, CohortTasks) else s
        for name, s in config.train.items()
    }
    return replace(config, train=halves)


def _first_half(cohort: Cohort) -> frozenset[str]:
    """Patients that the mapper of the first fold was trained on."""
    first = split_patients(cohort, {"train": 0.5, "validation": 0.5})["train"]
    return frozenset(first.patients)


def _by_who_did_not_see(
    first: list[EpisodeOutcome], second: list[EpisodeOutcome], seen_by_first: frozenset[str]
) -> list[EpisodeOutcome]:
    merged = []
    for one, other in zip(first, second, strict=True):
        seen = np.array([patient in seen_by_first for patient in one.patients])
        probabilities = np.where(seen[:, None], other.probabilities, one.probabilities)
        merged.append(replace(one, probabilities=probabilities))
    return merged


def _methods(
    task: str,
    files: Mapping[str, Path],
    encoders: Sequence[Encoder],
    known: Known,
    seed: int,
) -> dict[str, Adapt]:
    """By name; the first one is what all others are compared with."""
    unseen = "no-vessels" if task == VESSELS else "no-nodules"
    everything = torch.cat([features.joined() for features in known.features.values()]).double()
    size = encoders[0].feature_names.index(SIZE)
    return {
        "medfs": calibrated(_as_shipped(files[unseen], encoders), seed),
        "medfs, synthetic tasks only": calibrated(_as_shipped(files["synthetic"], encoders), seed),
        PLAIN: calibrated(recipe(PLAIN, encoders), seed),
        **{fold: calibrated(_as_shipped(files[fold], encoders), seed) for fold in FOLDS},
        "logistic regression, statistics of all cases": logistic_on(statistics_of(everything)),
        "logistic regression on size alone": logistic_on(statistics_of(everything), [size]),
    }


def _as_shipped(file: Path, encoders: Sequence[Encoder]) -> Recipe:
    """With the same fallback and the same prior on the temperature as the one that comes along."""
    made = recipe(f"mixture={file}", encoders)
    return replace(made, name=SHIPPED, fallback=recipe(PLAIN, encoders))


def _rows(
    task: str, n_shot: int, said: Mapping[str, list[EpisodeOutcome]], seed: int
) -> list[dict[str, Any]]:
    first = next(iter(said.values()))
    rows = []
    for name, outcomes in said.items():
        gap = None if outcomes is first else paired_differences(first, outcomes, seed=seed)
        rows.append(
            {
                "task": task,
                "shots": n_shot,
                "method": name,
                **_figures(summarize_episodes(outcomes, seed=seed)),
                "medfs_minus_it": None if gap is None else str(gap["auroc"]),
            }
        )
    return rows


def _figures(summary: EpisodeSummary) -> dict[str, Any]:
    a = summary.auroc
    return {
        "auroc": f"{a.mean:.3f} ({a.low:.3f}–{a.high:.3f})",
        "nll": f"{summary.nll.mean:.3f}",
        "ece": f"{summary.ece.value - summary.ece.floor:.3f}",
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("method", "K", "AUROC (95 %)", "medfs minus it", "NLL", "ECE")
    cells = [
        (r["method"], str(r["shots"]), r["auroc"], r["medfs_minus_it"] or "", r["nll"], r["ece"])
        for r in sorted(rows, key=lambda r: r["shots"])
    ]
    return markdown(head, cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds benchmark/")
    parser.add_argument("--out", type=Path, required=True, help="folder of trained mappers")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--ablations", action="store_true", help="train and judge them too")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
