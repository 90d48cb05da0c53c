"""Differences between two methods that answered the very same queries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medfs.metrics.calibration import nll_per_case
from medfs.metrics.discrimination import macro_auroc_replicates
from medfs.metrics.episodes import EpisodeOutcome
from medfs.metrics.intervals import patient_bootstrap_weights, percentile_interval


@dataclass(frozen=True)
class Difference:
    """Mean over episodes of (first − second), and its 95 % interval over patients."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def paired_differences(
    first: Sequence[EpisodeOutcome],
    second: Sequence[EpisodeOutcome],
    replicates: int,
    seed: int,
) -> dict[str, Difference]:
    """AUROC and NLL of `first` minus those of `second`.

    In every bootstrap replicate the queried patients are drawn with replacement, the same ones for
    both methods; a patient weighs all of their queries in all episodes. Support sets stay as they
    are, as in `medfs evaluate`.
    """
    patients = np.concatenate([o.patients for o in first])
    drawn = patient_bootstrap_weights(patients, replicates, seed)
    weights = np.vstack([np.ones(len(patients)), drawn])
    ends = np.cumsum([len(o.labels) for o in first])[:-1]
    parts = np.split(weights, ends, axis=1)
    gaps = [_metrics(a, w) - _metrics(b, w) for a, b, w in zip(first, second, parts, strict=True)]
    auroc, nll = np.nanmean(np.stack(gaps), axis=0)
    return {"auroc": _difference(auroc), "nll": _difference(nll)}


def _metrics(
    outcome: EpisodeOutcome, weights: Float[np.ndarray, "replicate query"]
) -> Float[np.ndarray, "metric replicate"]:
    """AUROC and NLL under every row of weights; NaN where a class weighs nothing."""
    auroc = macro_auroc_replicates(outcome.probabilities, outcome.labels, weights)
    total = np.where(np.isnan(auroc), np.nan, weights.sum(axis=1))
    return np.stack([auroc, weights @ nll_per_case(outcome.probabilities, outcome.labels) / total])


def _difference(values: Float[np.ndarray, "replicate"]) -> Difference:
    return Difference(float(values[0]), *percentile_interval(values[1:]))
