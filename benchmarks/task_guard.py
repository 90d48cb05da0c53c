"""How often medfs calls a task foreign to medfs-base: real cohorts, and volumes that are foreign.

    python benchmarks/task_guard.py --data DIR

DIR holds benchmark/ with the frozen episodes, and volumes/hippocampus (images/, labels/). What is
usual was learned from synthetic tasks alone: no real cohort is known to the guard. Foreign are:
noise as CT, uptake of a whole head as PET, hippocampi in MR read with the preset of lung CT and
with that of MR, and features of real nodules that were dealt out anew among the cases, each for
itself or in four blocks. On the frozen episodes also: what falling back to plain ridge at odds of
three to one or twenty to one costs or brings, and how labels by chance fare.
"""

import argparse
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from foreign_scans import hippocampi, noise_ct, spect
from jaxtyping import Float
from tables import markdown, progress, section, write_json
from torch import Tensor

from medfs.core.episodes import Episode, SupportSet
from medfs.core.features import Encoder, Features
from medfs.core.threads import single_thread
from medfs.metrics.episodes import summarize_episodes
from medfs.metrics.paired import paired_differences
from medfs.preprocess.presets import load_preset
from medfs.storage.tensors import TensorCache
from medfs.workflows import fit as fitting
from medfs.workflows.components import build_encoders, choose_device
from medfs.workflows.embed import Embedder, embed_all
from medfs.workflows.fit import Fitted, fit, support_set
from medfs.workflows.guard import Verdict, look, signal
from medfs.workflows.judging import Known, answers, calibrated, permuted
from medfs.workflows.recipes import SHIPPED, Recipe, recipe
from medfs.workflows.sources import ScanSource
from medfs.workflows.tasks import embed_task, frozen_tasks

FOREIGN_CASES, FOREIGN_SUPPORTS = 60, 200
SHOTS = (1, 5, 10)
BLOCKS = (0, 10, 21, 28, 39)


def main() -> None:
    args = _arguments()
    encoders = build_encoders(("radiomics",), {}, choose_device("cpu"))
    shipped = recipe(SHIPPED, encoders)
    rows: list[dict[str, Any]] = []
    real: dict[str, Float[Tensor, "case feature"]] = {}
    for task in frozen_tasks(args.data / "benchmark", args.task):
        cpu, cache = choose_device("cpu"), TensorCache.default()
        seen = embed_task(task, encoders, "auto", cpu, cache, True, None)
        real[task.name] = torch.cat([f.joined() for f in seen.features.values()])
        known = Known(task.class_names, seen.patient_of, seen.features)
        for shots in task.episodes(seen.usable):
            progress(f"{task.name}: {shots.n_shot} shots")
            drawn = shots.drawn[: args.episodes]
            rows.append(
                {"task": task.name, "shots": shots.n_shot, **_judged(known, drawn, shipped)}
            )
    section("Real cohorts", _real_table(rows))
    found = _foreign(args.data, real, encoders, shipped)
    section("Foreign cases", _foreign_table(found))
    write_json(args.out, {"real": rows, "foreign": found})


def _remembered(fit_one: Callable[..., Fitted]) -> Callable[..., Fitted]:
    """The same fit once, whichever fallback or guard asks for it."""
    found: dict[tuple[Any, ...], Fitted] = {}

    def fit_or_recall(support: SupportSet, of: Recipe, seed: int, verdict: Verdict) -> Fitted:
        content = support.features.joined().numpy().tobytes() + support.labels.numpy().tobytes()
        key = (content, of.name, seed)
        if key not in found:
            found[key] = fit_one(support, of, seed, verdict)
        return replace(found[key], verdict=verdict)

    return fit_or_recall


def _judged(known: Known, episodes: Sequence[Episode], shipped: Recipe) -> dict[str, Any]:
    with mock.patch.object(fitting, "_fit", _remembered(fitting._fit)):
        return _figures(known, episodes, shipped)


def _figures(known: Known, episodes: Sequence[Episode], shipped: Recipe) -> dict[str, Any]:
    supports = [_support(known, e) for e in episodes]
    with single_thread(), torch.no_grad():
        fitted = [fit(s, shipped, i) for i, s in enumerate(supports)]
        dealt = [_dealt(s, i) for i, s in enumerate(supports)]
        by_chance = [fit(s, shipped, i) for i, s in enumerate(dealt)]
    as_is = answers(known, episodes, calibrated(shipped, 0))
    alone = answers(known, episodes, calibrated(replace(shipped, fallback=None), 0))
    unguarded = answers(known, episodes, calibrated(replace(shipped, familiarity=None), 0))
    chance = answers(known, episodes, permuted(calibrated(shipped, 0), 0))
    return {
        "unfamiliar": float(np.mean([bool(f.verdict.beyond) for f in fitted])),
        "fallback": float(np.mean([f.used.name != SHIPPED for f in fitted])),
        "no_signal": _share_without(fitted, supports),
        "no_signal_by_chance": _share_without(by_chance, dealt),
        "largest_by_chance": float(np.mean([o.probabilities.max(axis=1).mean() for o in chance])),
        "nll_by_chance": summarize_episodes(chance).nll.mean,
        "nll_with_minus_without_fallback": str(paired_differences(as_is, alone)["nll"]),
        "nll_with_minus_without_guard": str(paired_differences(as_is, unguarded)["nll"]),
    }


def _share_without(fitted: Sequence[Fitted], supports: Sequence[SupportSet]) -> float | None:
    told = [signal(s, f.log_likelihood) for s, f in zip(supports, fitted, strict=True)]
    seen = [t.none_seen for t in told if t is not None]
    return float(np.mean(seen)) if seen else None


def _dealt(support: SupportSet, number: int) -> SupportSet:
    """The same cases with labels by chance, as `permuted` deals them."""
    order = np.random.default_rng([0, number, 0]).permutation(len(support))
    return replace(support, labels=support.labels[torch.from_numpy(order)])


def _support(known: Known, episode: Episode) -> SupportSet:
    cases = [(case, name) for name in known.class_names for case in episode.support[name]]
    return support_set(
        [known.features[case] for case, _ in cases],
        [name for _, name in cases],
        [known.patient_of[case] for case, _ in cases],
    )


def _foreign(
    data: Path, real: Mapping[str, Tensor], encoders: Sequence[Encoder], shipped: Recipe
) -> list[dict[str, Any]]:
    head = data / "volumes" / "hippocampus"
    mr = list(hippocampi(head, FOREIGN_CASES))
    kinds = {
        "noise, preset ct-lung": _rows(list(noise_ct(FOREIGN_CASES, 0)), "ct-lung", encoders),
        "uptake of a head, preset pet": _rows(list(spect(FOREIGN_CASES, 0)), "pet", encoders),
        "hippocampi in MR, preset ct-lung": _rows(mr, "ct-lung", encoders),
        "hippocampi in MR, preset mr": _rows(mr, "mr", encoders),
    }
    rng = np.random.default_rng(0)
    if nodules := [rows for name, rows in real.items() if name == "texture"]:
        each = list(range(nodules[0].shape[1] + 1))
        kinds["nodules, every feature dealt anew"] = _shuffled(nodules[0], each, rng)
        kinds["nodules, four blocks dealt anew"] = _shuffled(nodules[0], list(BLOCKS), rng)
    return [{"kind": kind, **_noticed(rows, encoders, shipped)} for kind, rows in kinds.items()]


def _rows(sources: Sequence[ScanSource], preset: str, encoders: Sequence[Encoder]) -> Tensor:
    done, failed = embed_all(Embedder(tuple(encoders), load_preset(preset)), sources)
    for failure in failed:
        raise failure.error
    return torch.cat([d.features.joined() for d in done])


def _shuffled(rows: Tensor, ends: Sequence[int], rng: np.random.Generator) -> Tensor:
    """Columns between two ends keep together; each group is dealt out among all cases."""
    parts = [
        rows[torch.from_numpy(rng.permutation(len(rows))), a:b] for a, b in itertools.pairwise(ends)
    ]
    return torch.cat(parts, dim=1)


def _noticed(rows: Tensor, encoders: Sequence[Encoder], shipped: Recipe) -> dict[str, float]:
    """By the number of cases of each of two classes: share of supports called unfamiliar."""
    rng, found = np.random.default_rng(1), {}
    for shots in SHOTS:
        alarms = []
        for _ in range(FOREIGN_SUPPORTS):
            some = rows[torch.from_numpy(rng.permutation(len(rows))[: 2 * shots])]
            names = ["a", "b"] * shots
            one = [Features({encoders[0].identity: row[None]}) for row in some]
            support = support_set(one, names, [str(i) for i in range(2 * shots)])
            alarms.append(bool(look(support, shipped.familiarity, SHIPPED).beyond))
        found[str(shots)] = float(np.mean(alarms))
    return found


def _real_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = (
        *("task", "K", "called unfamiliar", "plain ridge used"),
        *("NLL, with − without fallback", "NLL, with − without guard"),
        *("no signal seen", "labels by chance: no signal seen", "largest probability", "NLL"),
    )
    return markdown(head, [_line(r) for r in rows])


def _line(r: Mapping[str, Any]) -> list[str]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.0%}"

    return [
        *(r["task"], str(r["shots"]), share(r["unfamiliar"]), share(r["fallback"])),
        *(r["nll_with_minus_without_fallback"], r["nll_with_minus_without_guard"]),
        *(share(r["no_signal"]), share(r["no_signal_by_chance"])),
        *(f"{r['largest_by_chance']:.2f}", f"{r['nll_by_chance']:.2f}"),
    ]


def _foreign_table(found: Sequence[Mapping[str, Any]]) -> str:
    lines = [[r["kind"], *(f"{r[str(k)]:.0%}" for k in SHOTS)] for r in found]
    return markdown(("called unfamiliar", *(f"K = {k}" for k in SHOTS)), lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="holds benchmark/ and volumes/")
    parser.add_argument("--task", nargs="+", default=[], help="all by default")
    parser.add_argument("--episodes", type=int, default=100, help="of every shot count")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
