"""Everything a report is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from medfs.core.features import Features
from medfs.core.prediction_sets import PredictionSets
from medfs.reporting.values import Slice
from medfs.workflows.predict import Predictor


@dataclass(frozen=True, eq=False)
class SupportCase:
    """One case that the model was made from.

    Attributes:
        ordinal: what the model calls it.
        title: what the report calls it: the ordinal, with the user's name for it if wanted.
        label: its class.
        patient: whose it is; compared, never shown.
        notes: what was done to the scan; free of names.
        slices: a plane each.
        features: one row.
        held_out: probabilities by a classifier that never saw its patient, or None; for the
            prevalence that the report was asked for.
    """

    ordinal: str
    title: str
    label: str
    patient: str
    notes: tuple[str, ...]
    slices: tuple[Slice, ...]
    features: Features
    held_out: tuple[float, ...] | None


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Cases that were held out, side by side.

    Attributes:
        probabilities: for a place where classes are as common as `shares` say.
        labels: class of each.
        at: number of each among all cases.
        shares: of the classes; they sum to 1.
    """

    probabilities: Float[np.ndarray, "case way"]
    labels: Int[np.ndarray, "case"]
    at: Int[np.ndarray, "case"]
    shares: Float[np.ndarray, "way"]

    @property
    def class_weights(self) -> Float[np.ndarray, "way"]:
        """What a case of each class counts, so that classes are as common as `shares` say.

        A class of which no case was held out counts as if one had been.
        """
        here = np.bincount(self.labels, minlength=len(self.shares)).clip(1) / len(self.labels)
        return self.shares / here

    @property
    def weights(self) -> Float[np.ndarray, "case"]:
        return self.class_weights[self.labels]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and its support.

    Attributes:
        predictor: the model, ready to be applied.
        report: its report.json.
        settings: of its model.json.
        hashes: of its files, by name.
        cases: in the order of the model.
        excluded: a row for each case that was left out: what it is called, its class, why.
        sets: from which prediction sets are made; None where the model has none here.
    """

    predictor: Predictor
    report: Mapping[str, Any]
    settings: Mapping[str, Any]
    hashes: Mapping[str, str]
    cases: tuple[SupportCase, ...]
    excluded: tuple[tuple[str, str, str], ...]
    sets: PredictionSets | None

    @property
    def watched(self) -> tuple[int, ...]:
        """Classes that charts are drawn of, each against the others; one of two says it all."""
        if len(self.class_names) > 2:
            return tuple(range(len(self.class_names)))
        point = self.report.get("operating_point")
        return (1 if point is None else self.class_names.index(point["positive"]),)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.predictor.class_names

    @property
    def shares(self) -> Float[np.ndarray, "way"]:
        """How common each class is where the probabilities are meant for: alike if not asked."""
        known = self.predictor.prevalence
        if known is None:
            return np.full(len(self.class_names), 1 / len(self.class_names))
        return np.array(list(known.values()))

    @property
    def held_out(self) -> HeldOut | None:
        """None where no case could be held out."""
        names = self.class_names
        known = [(i, c) for i, c in enumerate(self.cases) if c.held_out is not None]
        if not known:
            return None
        return HeldOut(
            np.array([c.held_out for _, c in known], dtype=np.float64),
            np.array([names.index(c.label) for _, c in known]),
            np.array([i for i, _ in known]),
            self.shares,
        )
