"""Prediction sets as a user asks for them: a level, and what can be promised for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfs.calibration.priors import temperature_prior
from medfs.calibration.sets import cross_sets, split_sets
from medfs.core.episodes import SupportSet
from medfs.core.errors import IntegrityError, UsageError
from medfs.core.features import Features
from medfs.core.prediction_sets import PredictionSets, patients_needed
from medfs.export.model_folder import ModelContent
from medfs.export.sets_file import SETS_FILE, read_sets, sets_to_bytes
from medfs.storage.files import sha256
from medfs.workflows.recipes import Recipe

CROSS, SPLIT_HALVES, NO_SETS = "cross", "split", "none"
KINDS = {CROSS: cross_sets, SPLIT_HALVES: split_sets}


@dataclass(frozen=True, eq=False)
class AskedSets:
    """Sets at a nominal level that the labelled patients support."""

    sets: PredictionSets
    level: float

    def of(self, features: Features, top: int) -> tuple[int, ...]:
        """Classes of one scan; where there would be none, the most probable class, `top`."""
        row = self.sets(features.joined(), self.level)[0].tolist()
        return tuple(k for k, kept in enumerate(row) if kept) or (top,)

    def described(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "method": self.sets.method,
            "nominal": self.level,
            "guaranteed": round(self.sets.guaranteed(self.level), 6),
            "of": "patients of each class",
        }

    def in_words(self) -> str:
        """Both levels, in one sentence."""
        sure = self.sets.guaranteed(self.level)
        promise = (
            f"guaranteed for at least {sure:.0%} of them" if sure > 0 else "nothing guaranteed"
        )
        return (
            f"sets are made to hold the true class for {self.level:.0%} of new patients of each "
            f"class, {promise} ({self.sets.method}), if these patients are like the labelled ones"
        )


def check_kind(kind: str) -> None:
    """Refuse a name that means nothing, before anything is read."""
    if kind not in (*KINDS, NO_SETS):
        raise UsageError(f"there are no sets {kind!r}", todo=f"Use {', '.join((*KINDS, NO_SETS))}")


def local_sets(support: SupportSet, used: Recipe, kind: str, seed: int) -> dict[str, bytes]:
    """The file of sets for `local/`; nothing where they are not wanted or cannot be made."""
    if kind == NO_SETS:
        return {}
    temperature = temperature_prior(used.name, support).median
    sets = KINDS[kind](support, used.mapper, temperature, seed)
    return {} if sets is None else {SETS_FILE: sets_to_bytes(sets)}


def sets_setting(local: dict[str, bytes]) -> dict[str, str]:
    """What `model.json` remembers of that file."""
    return {"sets": sha256(local[SETS_FILE])} if local else {}


def ask_sets(content: ModelContent, model: Path, level: float | None) -> AskedSets | None:
    """The sets of a model at a nominal level; None if none is asked for.

    Raises:
        UsageError: the level is no level, or more than the labelled patients support, or the model
            was made without sets.
        ScanReadError, IntegrityError: their file is missing or not the one that was written.
    """
    if level is None:
        return None
    if not (math.isfinite(level) and 0 < level < 1):
        raise UsageError("a coverage lies between 0 and 1", why=f"Found {level:g}")
    digest = content.settings.get("sets")
    if digest is None:
        raise UsageError(
            "this model was made without prediction sets",
            case=str(model),
            why="A class had a single patient, or it was adapted with --sets none",
            todo="Adapt again with at least two patients of each class, or leave --coverage out",
        )
    if not isinstance(digest, str):
        raise IntegrityError("sets must be a hash", case=str(model))
    sets = read_sets(model, digest, content.calibrated.classifier.theta)
    refuse_too_much(sets, content.calibrated.class_names, level)
    return AskedSets(sets, level)


def stored_sets(content: ModelContent, model: Path) -> PredictionSets | None:
    """What the sets of a model are made from; None where it was made, or copied, without.

    Raises:
        IntegrityError: their file is not the one that was written with the model.
    """
    digest = content.settings.get("sets")
    if digest is None or not (model / "local" / SETS_FILE).is_file():
        return None
    return read_sets(model, str(digest), content.calibrated.classifier.theta)


def refuse_too_much(sets: PredictionSets, class_names: Sequence[str], level: float) -> None:
    """UsageError for a level at which some class could never be left out."""
    if level <= sets.highest + 1e-9:
        return
    n = sets.n_patients.tolist()
    smallest = min(range(len(n)), key=n.__getitem__)
    held = "" if sets.method != SPLIT_HALVES else " that were held out"
    raise UsageError(
        f"a coverage of {level:g} needs {patients_needed(level)} patients{held} of every class",
        why=f"With {n[smallest]} of the smallest class, {class_names[smallest]}, at most "
        f"{math.floor(100 * sets.highest) / 100:.2f} can be asked",
        todo="Ask for less, or adapt with more patients",
    )
