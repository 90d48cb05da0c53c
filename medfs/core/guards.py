"""The guard of a classifier as a value: what its support looked like, as means and spreads."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import UsageError
from medfs.core.features import Features
from medfs.core.measured import MEASURES, Measured

_BOUND = 5.0
# Of the acquisition and the size of the region rather than of tissue: ranges alone judge these.
_RANGES_ALONE = ("log_finest_mm", "log_coarsest_mm", "log_roi_mm3", "padding", "flat")
_OF_TISSUE = [i for i, name in enumerate(MEASURES) if name not in _RANGES_ALONE]
# How many numbers `joined` puts behind the features.
N_OF_TISSUE = len(_OF_TISSUE)


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Where the measures of a scan may lie.

    Attributes:
        low: smallest allowed value of each of `MEASURES`.
        usual_low: below it lie few of the support.
        usual_high: above it lie few of the support.
        high: largest allowed value.
    """

    low: Float[Tensor, "measure"]
    usual_low: Float[Tensor, "measure"]
    usual_high: Float[Tensor, "measure"]
    high: Float[Tensor, "measure"]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """Regions around the classes in the space of features and measures side by side.

    A number x counts as u = c·tanh(`rate`·(x − `middle`) / c) with c = 5, so that one that is far
    off cannot decide alone. The squared distance of a case from a class is that of Mahalanobis for
    u / `within`, with a covariance that all classes share: `variances` along the orthonormal
    `directions`, `rest` in all others.

    Attributes:
        middle: mean over the support.
        rate: one over the spread over the support; zero for numbers that do not count.
        within: spread of u within the classes.
        centres: mean of u in each class.
        limit: the largest distance of a familiar case.
    """

    middle: Float[Tensor, "number"]
    rate: Float[Tensor, "number"]
    within: Float[Tensor, "number"]
    centres: Float[Tensor, "way number"]
    directions: Float[Tensor, "rank number"]
    variances: Float[Tensor, "rank"]
    rest: Float[Tensor, ""]
    limit: Float[Tensor, ""]

    def distance(self, rows: Float[Tensor, "case number"]) -> Float[Tensor, "case"]:
        """Root mean squared distance per number from the nearest class: about 1 in the support."""
        u = compressed(rows, self.middle, self.rate)
        gaps = (u[:, None] - self.centres) / self.within
        along = gaps @ self.directions.T
        others = (gaps.square().sum(2) - along.square().sum(2)).clamp_min(0)
        squared = (along.square() / self.variances).sum(2) + others / self.rest
        return (squared.amin(1) / (self.rate > 0).sum()).sqrt()


def compressed(
    rows: Float[Tensor, "case number"],
    middle: Float[Tensor, "number"],
    rate: Float[Tensor, "number"],
) -> Float[Tensor, "case number"]:
    """Standardised and bounded by ±5."""
    return _BOUND * torch.tanh((rows - middle) * rate / _BOUND)


@dataclass(frozen=True, slots=True)
class Beyond:
    """A measure that lies beyond its range."""

    measure: str
    value: float
    usual: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a scan is like the support, and if not, why.

    Attributes:
        modality: that of the scan, where the support has only others; else None.
        beyond: measures beyond their ranges, the furthest first.
        excess: distance in the space of features, as a multiple of the largest familiar one; None
            where the support was too small to learn it.
    """

    modality: str | None
    beyond: tuple[Beyond, ...]
    excess: float | None

    @property
    def checked(self) -> bool:
        """No single number of the scan is out of range."""
        return self.modality is None and not self.beyond

    @property
    def familiar(self) -> bool:
        return self.checked and (self.excess is None or self.excess <= 1)


@dataclass(frozen=True, slots=True, eq=False)
class ScanGuard:
    """What a support looked like, so that a scan of another kind can be told.

    Attributes:
        encoders: identities of the encoders whose features it reads, in that order.
        modalities: DICOM modalities of the support, sorted; empty where files did not say.
        ranges: of the measures.
        near: in the space of features; None where the support is too small to say.
    """

    encoders: tuple[str, ...]
    modalities: tuple[str, ...]
    ranges: Ranges
    near: Neighbourhood | None

    def __call__(self, features: Features, measured: Measured) -> Verdict:
        """Judge one scan by itself.

        Raises:
            UsageError: features of other encoders.
        """
        if features.identities != self.encoders:
            raise UsageError("these features come from another encoder than the guard's")
        excess = None
        if self.near is not None:
            row = joined(features.joined(), measured.values[None])
            excess = float(self.near.distance(row)[0] / self.near.limit)
        return replace(check(measured, self.modalities, self.ranges), excess=excess)


def check(measured: Measured, modalities: tuple[str, ...], ranges: Ranges) -> Verdict:
    """The part of a verdict that needs no features."""
    foreign = modalities and measured.modality not in (None, *modalities)
    return Verdict(measured.modality if foreign else None, _beyond(measured.values, ranges), None)


def _beyond(values: Float[Tensor, "measure"], r: Ranges) -> tuple[Beyond, ...]:
    over = torch.maximum(r.low - values, values - r.high) / (r.high - r.low)
    order = sorted(range(len(MEASURES)), key=lambda i: (-float(over[i]), i))
    return tuple(
        Beyond(MEASURES[i], float(values[i]), (float(r.usual_low[i]), float(r.usual_high[i])))
        for i in order
        if float(over[i]) > 0
    )


def joined(
    features: Float[Tensor, "case feature"], measures: Float[Tensor, "case measure"]
) -> Float[Tensor, "case number"]:
    """Features and the measures of tissue side by side: the space of distances."""
    return torch.cat([features.double(), measures[:, _OF_TISSUE].double()], dim=1)
