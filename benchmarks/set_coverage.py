"""How often prediction sets hold the true class on real cohorts, and how large they are.

    pip install mapie==1.6.0
    python benchmarks/set_coverage.py --benchmark DIR

Sets of medfs (jackknife+ and split, both class by class) beside those of MAPIE (cross-conformal and
split, over all classes alike) and, if it is there, TorchCP (split, over all classes and class by
class; `torchcp_sets.py` says how to install it) on the same frozen episodes, by classifiers of the
same mapper on the same cases. Coverage is the share of queries of a class whose set holds it,
pooled over episodes.
"""

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from mapie.classification import CrossConformalClassifier, SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import LeaveOneOut
from tables import markdown, progress, section, write_json

try:
    from torchcp_sets import torchcp_sets
except ModuleNotFoundError as missing:
    progress(f"without TorchCP: {missing}")
    torchcp_sets = None

from medfs.calibration.priors import temperature_prior
from medfs.calibration.sets import cross_sets, split_sets
from medfs.core.episodes import Episode, SupportSet
from medfs.core.features import Features
from medfs.core.mapping import Mapper
from medfs.core.prediction_sets import PredictionSets
from medfs.core.threads import single_thread
from medfs.metrics.intervals import patient_bootstrap_weights
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.fit import support_set
from medfs.workflows.judging import Known
from medfs.workflows.recipes import Recipe, recipe
from medfs.workflows.tasks import embed_task, frozen_tasks

OURS = {"jackknife+": cross_sets, "split": split_sets}
THEIRS = ("MAPIE, cross", "MAPIE, split")
Sets = Bool[np.ndarray, "query way"]


class Mapped(ClassifierMixin, BaseEstimator):
    """A mapper as scikit-learn sees one; its inputs are numbers of cases."""

    def __init__(self, mapper: Mapper, support: SupportSet, query: Features) -> None:
        self.mapper, self.support, self.query = mapper, support, query

    def __sklearn_clone__(self) -> "Mapped":
        return Mapped(self.mapper, self.support, self.query)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")

    def fit(self, numbers: Int[np.ndarray, "case 1"], y: Int[np.ndarray, "case"]) -> "Mapped":
        self.classes_, self.n_features_in_ = np.unique(y), 1
        self.classifier_ = self.mapper(self.support.subset(torch.tensor(numbers[:, 0].astype(int))))
        return self

    def predict_proba(self, numbers: Int[np.ndarray, "case 1"]) -> Float[np.ndarray, "case way"]:
        both = Features.stack([self.support.features, self.query])
        logits = self.classifier_.logits(both[torch.tensor(numbers[:, 0].astype(int))])
        return torch.softmax(logits.double(), dim=1).numpy()

    def predict(self, numbers: Int[np.ndarray, "case 1"]) -> Int[np.ndarray, "case"]:
        return self.predict_proba(numbers).argmax(axis=1)


@dataclass(frozen=True, eq=False)
class Cell:
    """Queries of all episodes of a task and number of shots, and their sets by method and level."""

    labels: Int[np.ndarray, "query"]
    patients: Shaped[np.ndarray, "query"]
    sets: dict[tuple[str, float], Sets]
    guaranteed: dict[tuple[str, float], float]


def main() -> None:
    args = _arguments()
    warnings.filterwarnings("ignore", module="mapie|sklearn|torchcp")
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    used, rows = recipe(args.mapper, encoders), []
    for task in frozen_tasks(args.benchmark, args.task):
        seen = embed_task(
            task, encoders, "auto", choose_device("cpu"), TensorCache.default(), True, None
        )
        known = Known(task.class_names, seen.patient_of, seen.features)
        for shots in task.episodes(seen.usable):
            if shots.n_shot in args.shots:
                progress(f"{task.name}, {shots.n_shot} shots")
                cell = _cell(known, shots.drawn[: args.episodes], used, args)
                rows += _figures(task.name, shots.n_shot, task.class_names, cell, args)
    for level in args.levels:
        section(f"Nominal level {level:g}, {args.mapper}", _table(rows, level))
    write_json(args.out, {"schema_version": 1, "rows": rows})


@torch.no_grad()
def _cell(
    known: Known, episodes: Sequence[Episode], used: Recipe, args: argparse.Namespace
) -> Cell:
    sets: dict[tuple[str, float], list[Sets]] = defaultdict(list)
    sure: dict[tuple[str, float], float] = {}
    labels, patients = [], []
    with single_thread():
        for number, episode in enumerate(episodes):
            support = support_set(*zip(*_cases(known, episode.support), strict=True))
            asked = list(_cases(known, episode.query))
            query = Features.stack([f for f, _, _ in asked])
            temperature = temperature_prior(used.name, support).median
            for name, make in OURS.items():
                made = make(support, used.mapper, temperature, args.seed + number)
                for level in _possible(made, args.levels):
                    sets[name, level].append(made(query.joined(), level).numpy())
                    sure[name, level] = made.guaranteed(level)
            for key, found in _theirs(used.mapper, support, query, args):
                sets[key].append(found)
            labels += [known.class_names.index(name) for _, name, _ in asked]
            patients += [patient for _, _, patient in asked]
    whole = {k: np.concatenate(v) for k, v in sets.items() if len(v) == len(episodes)}
    return Cell(np.array(labels), np.array(patients), whole, sure)


def _possible(made: PredictionSets | None, levels: Sequence[float]) -> list[float]:
    return [] if made is None else [x for x in levels if x <= made.highest + 1e-9]


def _theirs(
    mapper: Mapper, support: SupportSet, query: Features, args: argparse.Namespace
) -> Iterator[tuple[tuple[str, float], Sets]]:
    n, y = len(support), support.labels.numpy()
    here, new = np.arange(n)[:, None], np.arange(n, n + len(query))[:, None]
    model = Mapped(mapper, support, query)
    how = {"confidence_level": args.levels, "conformity_score": "lac"}
    cross = CrossConformalClassifier(model, cv=LeaveOneOut(), **how)
    found = [cross.fit_conformalize(here, y).predict_set(new, agg_scores="crossval")[1]]
    half = np.zeros(n, dtype=bool)
    rng = np.random.default_rng(args.seed)
    for label in np.unique(y):
        own = rng.permutation(np.flatnonzero(y == label))
        half[own[: len(own) // 2]] = True
    fitted = model.__sklearn_clone__().fit(here[~half], y[~half])
    split = SplitConformalClassifier(fitted, **how)
    found.append(split.conformalize(here[half], y[half]).predict_set(new)[1])
    for name, made in zip(THEIRS, found, strict=True):
        for at, level in enumerate(args.levels):
            yield (name, level), made[:, :, at].astype(bool)
    if torchcp_sets is not None:
        held, asked = (torch.from_numpy(fitted.predict_proba(x)).log() for x in (here[half], new))
        yield from torchcp_sets(held, torch.from_numpy(y[half]), asked, args.levels)


def _cases(known: Known, side: dict[str, tuple[str, ...]]) -> Iterator[tuple[Features, str, str]]:
    for name in known.class_names:
        for case in side[name]:
            yield known.features[case], name, known.patient_of[case]


def _figures(
    task: str, shots: int, names: Sequence[str], cell: Cell, args: argparse.Namespace
) -> list[dict[str, Any]]:
    weights = patient_bootstrap_weights(cell.patients, args.replicates, args.seed)
    weights = np.vstack([np.ones(len(cell.labels)), weights])
    rows = []
    for (method, level), sets in cell.sets.items():
        coverage = {}
        for label, name in enumerate(names):
            own = cell.labels == label
            share = weights[:, own] @ sets[own, label] / weights[:, own].sum(axis=1)
            low, high = np.percentile(share[1:], [2.5, 97.5])
            coverage[name] = [float(share[0]), float(low), float(high)]
        size = sets.sum(axis=1)
        row: dict[str, Any] = {"task": task, "shots": shots, "method": method, "level": level}
        row |= {"guaranteed": cell.guaranteed.get((method, level)), "coverage": coverage}
        row |= {"size": float(size.mean()), "single": float((size == 1).mean())}
        rows.append(row | {"empty": float((size == 0).mean())})
    return rows


def _table(rows: Sequence[dict[str, Any]], level: float) -> str:
    head = ("task, K, method", "guaranteed", "coverage by class (95 %)", "size", "one", "none")
    lines = []
    for r in rows:
        if r["level"] != level:
            continue
        by_class = "; ".join(
            f"{name} {c:.2f} ({low:.2f}–{high:.2f})"
            for name, (c, low, high) in r["coverage"].items()
        )
        sure = "" if r["guaranteed"] is None else f"{r['guaranteed']:.2f}"
        shares = (f"{r[what]:.2f}" for what in ("size", "single", "empty"))
        lines.append((f"{r['task']}, {r['shots']}, {r['method']}", sure, by_class, *shares))
    return markdown(head, lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of frozen episodes")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--shots", nargs="+", type=int, default=[10, 20])
    parser.add_argument("--levels", nargs="+", type=float, default=[0.8, 0.9])
    parser.add_argument("--mapper", default="ridge")
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
