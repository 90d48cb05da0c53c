"""medfs beside logistic regression, on the same frozen episodes and the same features.

    python benchmarks/frozen_episodes.py --benchmark DIR

Every method gets the radiomics that `medfs adapt` uses by default. Logistic regression (L2) sees
them standardised by the support's own mean and standard deviation, without any calibration.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from reference_heads import logistic_on
from tables import markdown, progress, section, write_json

from medfs.core.features import Encoder
from medfs.metrics.episodes import EpisodeOutcome, EpisodeSummary, summarize_episodes
from medfs.metrics.paired import Difference, paired_differences
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.judging import Adapt, Known, answers, calibrated
from medfs.workflows.recipes import recipe
from medfs.workflows.tasks import Shots, Task, TaskFeatures, embed_task, frozen_tasks

DEFAULT = "ridge"
MAPPERS = (DEFAULT, "prototype")
# AUROC at 1, 5, 10 and 20 shots: 34 features, logistic regression, measured earlier.
EARLIER: Mapping[str, Mapping[int, float]] = {
    "malignancy": {1: 0.530, 5: 0.830, 10: 0.889, 20: 0.910},
    "texture": {1: 0.655, 5: 0.775, 10: 0.803, 20: 0.816},
    "calcification": {1: 0.615, 5: 0.950, 10: 0.968, 20: 0.972},
    "spiculation": {1: 0.595, 5: 0.792, 10: 0.861, 20: 0.853},
    "vessels": {1: 0.532, 5: 0.709, 10: 0.777, 20: 0.819},
}
# What `medfs evaluate` writes beside ECE is its floor: the ECE of a perfectly calibrated predictor.
NOTES = (
    "AUROC, NLL and their differences: mean over episodes; intervals: 95 % by bootstrap over "
    "patients, given the support sets. ECE: top label, ten bins, pooled over episodes; in "
    "parentheses its floor, what perfect calibration would show. Differences: plain "
    f"{DEFAULT}, calibrated as `medfs adapt` does, minus the method of the row. “Earlier”: 34 "
    "features, logistic regression, measured earlier on the same episodes."
)
NO_PATIENTS = "{}: no patient ids exist, so that every case counts as a patient of its own."


@dataclass(frozen=True, eq=False)
class Row:
    """One method at one shot count of one task."""

    task: str
    shots: int
    method: str
    summary: EpisodeSummary
    seconds: float
    differences: dict[str, Difference] | None


def main() -> None:
    args = _arguments()
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    cache = TensorCache.default() if args.cache is None else TensorCache(args.cache)
    rows: list[Row] = []
    remarks: list[str] = []
    for task in frozen_tasks(args.benchmark, args.task):
        progress(f"{task.name}: features of {len(task.cohort.cases)} cases")
        known = embed_task(task, encoders, "auto", choose_device("cpu"), cache, True, None)
        remarks += _remarks(task, known)
        for shots in task.episodes(known.usable):
            if shots.n_shot in args.shots:
                progress(f"{task.name}: {shots.n_shot} shots")
                rows += _compare(task, known, shots, encoders, args)
    for name in dict.fromkeys(row.task for row in rows):
        section(name, _table([row for row in rows if row.task == name]))
    print("\n\n".join([NOTES, *remarks]))
    write_json(args.out, {"schema_version": 1, "notes": remarks, "rows": [_plain(r) for r in rows]})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of frozen episodes")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5, 10, 20])
    parser.add_argument("--episodes", type=int, help="the first so many of each shot count")
    parser.add_argument("--penalty", nargs="+", type=float, default=[1.0, 0.1], help="C")
    parser.add_argument("--replicates", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="of features; medfs's own by default")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


def _methods(
    encoders: Sequence[Encoder], penalties: Sequence[float], seed: int
) -> dict[str, Adapt]:
    methods = {name: calibrated(recipe(name, encoders), seed) for name in MAPPERS}
    for c in penalties:
        methods[f"logistic regression, C = {c:g}"] = logistic_on(None, penalty=c)
    return methods


def _compare(
    task: Task,
    embedded: TaskFeatures,
    shots: Shots,
    encoders: Sequence[Encoder],
    args: argparse.Namespace,
) -> list[Row]:
    if shots.error is not None:
        progress(f"{task.name}, {shots.n_shot} shots: {shots.error}")
        return []
    drawn = shots.drawn[: args.episodes]
    outcomes: dict[str, list[EpisodeOutcome]] = {}
    seconds: dict[str, float] = {}
    known = Known(task.class_names, embedded.patient_of, embedded.features)
    for name, adapt in _methods(encoders, args.penalty, args.seed).items():
        started = time.perf_counter()
        outcomes[name] = answers(known, drawn, adapt)
        seconds[name] = time.perf_counter() - started
    default = outcomes[DEFAULT]
    return [
        Row(
            task.name,
            shots.n_shot,
            name,
            summarize_episodes(of_method, args.replicates, args.seed),
            seconds[name],
            None
            if name == DEFAULT
            else paired_differences(default, of_method, args.replicates, args.seed),
        )
        for name, of_method in outcomes.items()
    ]


def _remarks(task: Task, known: TaskFeatures) -> list[str]:
    cases = task.cohort.cases
    remarks = [
        f"{task.name}: {len(cases)} cases, preset {known.preset.name}, region: {known.region}."
    ]
    if all(case.patient_id == case.case_id for case in cases):
        remarks.append(NO_PATIENTS.format(task.name))
    if known.failed:
        remarks.append(f"{task.name}: {len(known.failed)} cases could not be used.")
    return remarks


def _table(rows: Sequence[Row]) -> str:
    head = ("shots and method", "AUROC", "Earlier", "NLL", "ECE (floor)", "Δ AUROC", "Δ NLL")
    return markdown(head, [_line(row) for row in rows])


def _line(row: Row) -> tuple[str, ...]:
    s, gaps = row.summary, row.differences
    earlier = EARLIER.get(row.task, {}).get(row.shots)
    return (
        f"{row.shots}: {row.method}",
        f"{s.auroc.mean:.3f} ({s.auroc.low:.3f}–{s.auroc.high:.3f})",
        "" if earlier is None or row.method != DEFAULT else f"{earlier:.3f}",
        f"{s.nll.mean:.3f}",
        f"{s.ece.value:.3f} ({s.ece.floor:.3f})",
        *(("", "") if gaps is None else (str(gaps["auroc"]), str(gaps["nll"]))),
    )


def _plain(row: Row) -> dict[str, object]:
    gaps = {} if row.differences is None else row.differences
    return {
        "task": row.task,
        "shots": row.shots,
        "method": row.method,
        **row.summary.as_dict(),
        "seconds": round(row.seconds, 3),
        "earlier_auroc": EARLIER.get(row.task, {}).get(row.shots),
        "default_minus_method": {name: asdict(gap) for name, gap in gaps.items()},
    }


if __name__ == "__main__":
    main()
