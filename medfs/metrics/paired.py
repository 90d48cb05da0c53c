"""Differences between methods that answered the very same queries."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
from jaxtyping import Float

from medfs.metrics.calibration import nll_per_case
from medfs.metrics.discrimination import balanced_accuracy_replicates, macro_auroc_replicates
from medfs.metrics.episodes import EpisodeOutcome
from medfs.metrics.intervals import patient_bootstrap_weights, percentile_interval

# Of these a smaller value is the better one.
SMALLER_IS_BETTER = frozenset({"nll"})


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean over episodes of (first − second), and its 95 % interval over patients."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Zero lies outside the interval."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, float | None]:
        """For JSON: NaN, which it lacks, becomes None."""
        return {n: None if math.isnan(v) else v for n, v in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """Metrics averaged over episodes: of the queries as they are, then of every replicate.

    Attributes:
        values: AUROC (macro, one-vs-rest), NLL and balanced accuracy by name, each (1 + replicate,)
            with the data as they are in front. NaN where every episode lacks a class.
        asked: hash of what was asked of whom, and of how it was replicated.
    """

    values: Mapping[str, Float[np.ndarray, "replicate"]]
    asked: str

    def minus(self, other: "Replicates") -> dict[str, Difference]:
        """This method minus another one, metric by metric.

        Every replicate draws the same patients for both, and an episode that lacks a class is left
        out of both, so that the difference of the averages is the average of the differences.

        Raises:
            ValueError: they answered other queries, or were replicated otherwise.
        """
        if self.asked != other.asked:
            raise ValueError("only answers to the same queries can be compared in pairs")
        gaps = {name: value - other.values[name] for name, value in self.values.items()}
        return {n: Difference(float(g[0]), *percentile_interval(g[1:])) for n, g in gaps.items()}

    def interval(self, metric: str) -> tuple[float, float, float]:
        """Mean over episodes of a metric, and its 95 % interval over patients."""
        value = self.values[metric]
        return float(value[0]), *percentile_interval(value[1:])


def replicate(
    outcomes: Sequence[EpisodeOutcome], replicates: int = 1000, seed: int = 0
) -> Replicates:
    """Metrics of a method under the very replicates that `summarize_episodes` draws for this seed.

    In every replicate the queried patients are drawn with replacement; a patient weighs all of
    their queries in all episodes. Support sets stay as they are: the interval is conditional on
    them.

    Args:
        outcomes: episodes of one task.
        replicates: bootstrap replicates.
        seed: of the bootstrap.

    Raises:
        ValueError: no episode.
    """
    if not outcomes:
        raise ValueError("no episodes to replicate")
    patients = np.concatenate([np.asarray(o.patients) for o in outcomes])
    for_patients = np.random.SeedSequence(seed).spawn(2)[0]
    drawn = patient_bootstrap_weights(patients, replicates, for_patients)
    weights = np.vstack([np.ones(len(patients)), drawn])
    ends = np.cumsum([len(o.labels) for o in outcomes])[:-1]
    parts = np.split(weights, ends, axis=1)
    values = np.stack([_metrics(o, w) for o, w in zip(outcomes, parts, strict=True)])
    auroc, nll, accuracy = _mean_over_episodes(values)
    asked = [(o.labels.tolist(), o.patients.tolist()) for o in outcomes]
    return Replicates(
        {"auroc": auroc, "nll": nll, "balanced_accuracy": accuracy},
        sha256(repr((replicates, seed, asked)).encode()).hexdigest(),
    )


def paired_differences(
    first: Sequence[EpisodeOutcome],
    second: Sequence[EpisodeOutcome],
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """AUROC, NLL and balanced accuracy of `first` minus those of `second`; see `Replicates`.

    Raises:
        ValueError: no episode, or they answered other queries.
    """
    return replicate(first, replicates, seed).minus(replicate(second, replicates, seed))


def _metrics(
    outcome: EpisodeOutcome, weights: Float[np.ndarray, "replicate query"]
) -> Float[np.ndarray, "metric replicate"]:
    """Every metric under every row of weights; NaN where a class weighs nothing."""
    probabilities, labels = np.asarray(outcome.probabilities, np.float64), outcome.labels
    auroc = macro_auroc_replicates(probabilities, labels, weights)
    total = np.where(np.isnan(auroc), np.nan, weights.sum(axis=1))
    nll = weights @ nll_per_case(probabilities, labels) / total
    accuracy = balanced_accuracy_replicates(probabilities, labels, weights)
    return np.stack([auroc, nll, np.where(np.isnan(auroc), np.nan, accuracy)])


def _mean_over_episodes(
    values: Float[np.ndarray, "episode metric replicate"],
) -> Float[np.ndarray, "metric replicate"]:
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0).sum(axis=0)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
