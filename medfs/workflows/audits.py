"""What a classifier could score without looking at the tissue, and without true labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import stdtrit

from medfs.core.episodes import Episode
from medfs.core.features import Features
from medfs.core.mapping import Mapper
from medfs.mappers.ridge import Ridge
from medfs.metrics.discrimination import macro_auroc
from medfs.metrics.episodes import EpisodeOutcome
from medfs.metrics.paired import Replicates, replicate
from medfs.workflows.facts import ScanFacts
from medfs.workflows.judging import Known, answers, permuted, uncalibrated

# Headers are rounded by whoever wrote them: 0.01 % of a length is no difference.
_DECIMALS = 4
# Every mapper and shot count has one: at 95 % every twentieth would be a false alarm.
CHANCE_LEVEL = 0.99
# With a case or two per class a permutation is right or wrong, little between: t needs some more.
_MIN_EPISODES = 20


@dataclass(frozen=True)
class Shortcut:
    """A few numbers of every scan, or None where it has none."""

    name: str
    numbers: Callable[[ScanFacts], tuple[float, ...] | None]


SHORTCUTS = (
    Shortcut("extent", lambda f: _logs(*f.extent_mm)),
    Shortcut("spacing", lambda f: _logs(*f.spacing_mm)),
    Shortcut("array_size", lambda f: _logs(*f.shape)),
    Shortcut("roi_volume", lambda f: None if f.roi_mm3 is None else _logs(f.roi_mm3)),
    Shortcut("padding", lambda f: (f.padding,)),
)


@dataclass(frozen=True, eq=False)
class Clues:
    """Shortcuts of a task, each as features by case id, and those that tell nothing."""

    telling: dict[str, dict[str, Features]]
    same_in_every_case: tuple[str, ...]


def clues(facts: Mapping[str, ScanFacts]) -> Clues:
    """The shortcuts that all cases have; lengths and volumes are logarithms of mm and mm³."""
    telling, same = {}, []
    for shortcut in SHORTCUTS:
        rows = [shortcut.numbers(known) for known in facts.values()]
        present = [row for row in rows if row is not None]
        if len(present) < len(rows):
            continue
        values = torch.tensor(np.round(present, _DECIMALS))
        if bool((values == values[0]).all()):
            same.append(shortcut.name)
            continue
        telling[shortcut.name] = {
            case: Features({shortcut.name: row[None]})
            for case, row in zip(facts, values, strict=True)
        }
    return Clues(telling, tuple(same))


def audit_shortcuts(
    found: Clues,
    known: Known,
    episodes: Sequence[Episode],
    answered: Mapping[str, Replicates],
    seed: int,
) -> dict[str, Any]:
    """AUROC of every shortcut on these episodes, and what each mapper adds to it.

    Args:
        found: the shortcuts.
        known: the classes and patients of the task.
        episodes: those that the mappers were judged on.
        answered: what the mappers scored there, under the same seed.
        seed: of the bootstrap.

    Returns:
        Per shortcut `auroc` (mean over episodes with a 95 % interval over patients), and per mapper
        `classifier_minus_shortcut`, the paired difference of the AUROC.
    """
    rows = {}
    for name, features in found.telling.items():
        n_numbers = next(iter(features.values())).joined().shape[1]
        numbers = Known(known.class_names, known.patient_of, features)
        alone = replicate(answers(numbers, episodes, uncalibrated(Ridge(n_numbers))), seed=seed)
        mean, low, high = alone.interval("auroc")
        rows[name] = {
            "auroc": {"mean": mean, "low": low, "high": high},
            "classifier_minus_shortcut": {
                mapper: with_tissue.minus(alone)["auroc"].as_dict()
                for mapper, with_tissue in answered.items()
            },
        }
    return rows


def audit_permuted(
    known: Known, episodes: Sequence[Episode], mapper: Mapper, seed: int
) -> dict[str, Any]:
    """AUROC after the support's labels were permuted in every episode.

    What is left is chance, if the mapper learns from the labels: whatever it finds, it is as likely
    to find the opposite. A mapper that scores more knows the task from elsewhere.

    One cell in a hundred is off by luck, and a run judges many. What is off is therefore looked at
    again, with other permutations: only what is off both times, to the same side, is said.

    Returns:
        Of the last look `mean` over episodes, and `low` and `high`, its 99 % interval (Student's t
        over episodes, whose permutations are independent); `at_chance`. All but the mean are None
        for fewer than twenty episodes.
    """
    first = _permuted_auroc(known, episodes, mapper, seed, look=0)
    if first["at_chance"] is not False:
        return first
    second = _permuted_auroc(known, episodes, mapper, seed, look=1)
    other_side = (first["mean"] > 0.5) != (second["mean"] > 0.5)
    return {**second, "at_chance": bool(second["at_chance"]) or other_side}


def _permuted_auroc(
    known: Known, episodes: Sequence[Episode], mapper: Mapper, seed: int, look: int
) -> dict[str, Any]:
    said = answers(known, episodes, permuted(uncalibrated(mapper), seed, look))
    values = np.array([macro_auroc(o.probabilities, o.labels) for o in said if _complete(o)])
    count, mean = len(values), float(values.mean())
    if count < _MIN_EPISODES:
        return {"mean": mean, "low": None, "high": None, "at_chance": None}
    spread = float(values.std(ddof=1)) / count**0.5
    reach = float(stdtrit(count - 1, (1 + CHANCE_LEVEL) / 2)) * spread
    low, high = max(0.0, mean - reach), min(1.0, mean + reach)
    return {"mean": mean, "low": low, "high": high, "at_chance": low <= 0.5 <= high}


def _complete(outcome: EpisodeOutcome) -> bool:
    return len(np.unique(outcome.labels)) == outcome.probabilities.shape[1]


def _logs(*values: float) -> tuple[float, ...]:
    return tuple(float(np.log(v)) for v in values)
