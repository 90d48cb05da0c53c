"""Many few-shot episodes of one cohort, summarised with an interval over its patients."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from medfs.metrics.calibration import brier_per_case, ece, ece_floor, nll_per_case
from medfs.metrics.discrimination import balanced_accuracy_replicates, macro_auroc_replicates
from medfs.metrics.intervals import patient_bootstrap_weights, percentile_interval

# One redraw of the labels is itself noisy; the mean of several estimates the same floor.
FLOOR_REDRAWS = 20


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeOutcome:
    """What one episode's classifier said of its queries.

    Attributes:
        probabilities: (query, way), rows summing to 1.
        labels: (query,), columns of `probabilities`.
        patients: (query,), integers or strings that mean the same patient in every episode.
    """

    probabilities: Float[np.ndarray, "query way"]
    labels: Int[np.ndarray, "query"]
    patients: Shaped[np.ndarray, "query"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and standard deviation over episodes, and a 95 % interval over patients.

    `sd` is NaN for a single episode.
    """

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """ECE of all queries of all episodes pooled, and what perfect calibration would show."""

    value: float
    floor: float


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """The metrics of `summarize_episodes`."""

    auroc: Estimate
    balanced_accuracy: Estimate
    nll: Estimate
    brier: Estimate
    ece: CalibrationError
    n_episodes: int
    n_patients: int

    def as_dict(self) -> dict[str, object]:
        """Plain dictionaries for JSON; NaN, which JSON lacks, becomes None."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def summarize_episodes(
    outcomes: Sequence[EpisodeOutcome], replicates: int = 1000, seed: int = 0
) -> EpisodeSummary:
    """Mean over episodes of each metric, with an interval over the patients of the cohort.

    Interval: in every replicate, as many patients as were ever queried are drawn from them with
    replacement. A patient's multiplicity weighs all of their queries, in all episodes alike. Each
    episode's metric is computed with these weights, and the episodes are averaged; an episode in
    which some class weighs nothing is left out of that replicate's average (and out of `mean` and
    `sd`, if it has no query of some class at all). `low` and `high` are the 2.5 % and 97.5 %
    percentiles of these averages.

    What it is not: the support sets and the classifiers fitted to them stay as they are, so the
    interval is conditional on the support sets. Their luck is what `sd` shows.

    Args:
        outcomes: episodes of one task: same number of classes everywhere.
        replicates: bootstrap replicates.
        seed: of the bootstrap and of the ECE's floor.

    Raises:
        ValueError: no episode, or none in which every class is queried.
    """
    if not outcomes:
        raise ValueError("no episodes to summarise")
    for_patients, for_floor = np.random.SeedSequence(seed).spawn(2)
    patients = np.concatenate([np.asarray(o.patients) for o in outcomes])
    weights = patient_bootstrap_weights(patients, replicates, for_patients)
    # Row 0 is the data as it is; the replicates follow.
    weights = np.vstack([np.ones(len(patients)), weights])
    ends = np.cumsum([len(o.labels) for o in outcomes])[:-1]
    parts = np.split(weights, ends, axis=1)
    values = np.stack([_episode(o, w) for o, w in zip(outcomes, parts, strict=True)])
    if np.isnan(values[:, :, 0]).all():
        raise ValueError("no episode has queries of every class")
    probabilities = np.concatenate([o.probabilities for o in outcomes])
    labels = np.concatenate([o.labels for o in outcomes])
    auroc, balanced_accuracy, nll, brier = (_estimate(values[:, m]) for m in range(4))
    return EpisodeSummary(
        auroc=auroc,
        balanced_accuracy=balanced_accuracy,
        nll=nll,
        brier=brier,
        ece=CalibrationError(
            ece(probabilities, labels), ece_floor(probabilities, for_floor, FLOOR_REDRAWS)
        ),
        n_episodes=len(outcomes),
        n_patients=len(np.unique(patients)),
    )


def _episode(
    outcome: EpisodeOutcome, weights: Float[np.ndarray, "replicate query"]
) -> Float[np.ndarray, "metric replicate"]:
    """Every metric under every row of weights; NaN where a class weighs nothing."""
    probabilities = np.asarray(outcome.probabilities, np.float64)
    labels = np.asarray(outcome.labels)
    complete = _every_class_weighs(labels, probabilities.shape[1], weights)
    total = np.where(complete, weights.sum(axis=1), np.nan)
    values = np.stack(
        [
            macro_auroc_replicates(probabilities, labels, weights),
            balanced_accuracy_replicates(probabilities, labels, weights),
            weights @ nll_per_case(probabilities, labels) / total,
            weights @ brier_per_case(probabilities, labels) / total,
        ]
    )
    return np.where(complete, values, np.nan)


def _every_class_weighs(
    labels: Int[np.ndarray, "query"], way: int, weights: Float[np.ndarray, "replicate query"]
) -> Bool[np.ndarray, "replicate"]:
    belongs = (labels[:, None] == np.arange(way)).astype(np.float64)
    return (weights @ belongs > 0).all(axis=1)


def _estimate(values: Float[np.ndarray, "episode replicate"]) -> Estimate:
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0).sum(axis=0)
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    observed = values[known[:, 0], 0]
    sd = float(observed.std(ddof=1)) if len(observed) > 1 else float("nan")
    return Estimate(float(means[0]), sd, *percentile_interval(means[1:]))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
