"""Support → guard: what its scans look like, and how far from it a scan of the same kind may lie.

Ranges are Student's prediction intervals of each measure, widened by a margin that does not depend
on the support, so that five scans of one scanner do not forbid the next scanner. Distances are
Mahalanobis' with a covariance shrunk towards equal variances (Ledoit & Wolf, J. Multivar. Anal.
2004); how far is too far comes from support cases measured by guards that never saw their patients
(split by patient: the jackknife+ of Barber et al., Ann. Stat. 2021, with Student's interval on the
logarithm in place of a rank, which twenty cases determine badly).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from medfs.core.episodes import SupportSet
from medfs.core.guards import Neighbourhood, Ranges, ScanGuard, Verdict, check, compressed, joined
from medfs.core.measured import MEASURES, Measured

# One-sided: of scans like the support, about this share lies further away than allowed.
_TAIL = 0.05
# Two-sided, for each measure: alarms of ranges are meant for what is plainly different.
_RANGE_TAIL = 0.002
# Fewer held-out cases do not say how distances scatter.
_FEWEST = 6
_FEWEST_VALUES = 3
# Two classes that are tight beside their distance still have some width.
_LEAST_WITHIN = 0.3
# At most this many guards are learned from parts of the support.
_MOST_FOLDS = 40
# Beyond this, Student's quantile for very few cases would allow anything.
_WIDEST = 12.0
# Widening of each range, in the unit of its measure: a factor of 2 in spacing, of 6 in volume, half
# of the patch beyond the scan, 150 HU in lung CT, a factor of 3 in noise. What lies near a region
# is of two kinds (lung or chest wall), which the spread of few cases may not show. Edges have
# little margin, and neither has how a region stands out: one that does not holds no finding.
_MARGINS = {
    "log_finest_mm": math.log(2),
    "log_coarsest_mm": math.log(2),
    "log_roi_mm3": math.log(6),
    "padding": 0.5,
    "flat": 0.3,
    "near_p10": 0.3,
    "near_median": 0.4,
    "near_p90": 0.3,
    "log_noise": math.log(3),
    "log_edge": math.log(1.3),
    "brighter": 0.05,
}
_INTENSITY_MARGIN = 0.15


def learn_guard(support: SupportSet, measured: Sequence[Measured]) -> ScanGuard:
    """The guard of a support set.

    Args:
        support: features, classes and patients.
        measured: of the same cases, in the same order.
    """
    rows, values = _rows(support, measured), torch.stack([m.values for m in measured])
    near = _neighbourhood(rows, support.labels)
    if near is not None:
        limit = _limit(_held_out_distances(rows, support.labels, support.patients))
        near = None if limit is None else replace(near, limit=limit)
    modalities = tuple(sorted({m.modality for m in measured if m.modality is not None}))
    return ScanGuard(support.features.identities, modalities, _ranges(values), near)


def foreign_cases(support: SupportSet, measured: Sequence[Measured]) -> dict[int, Verdict]:
    """Support cases that are unlike all others: position → what a guard says that never saw them.

    A case counts as foreign where it would be refused at a hundredth of the usual rate of false
    alarms, so that a support of forty rarely raises a warning.
    """
    rows, values = _rows(support, measured), torch.stack([m.values for m in measured])
    distances = _held_out_distances(rows, support.labels, support.patients)
    found = {}
    for i, one in enumerate(measured):
        others = support.patients != support.patients[i]
        if int(others.sum()) < _FEWEST:
            continue
        kinds = {m.modality for m, other in zip(measured, others.tolist(), strict=True) if other}
        modalities = () if None in kinds else tuple(sorted(k for k in kinds if k is not None))
        judged = check(one, modalities, _ranges(values[others]))
        limit = _limit(distances[others], _TAIL / 100)
        if limit is not None and bool(torch.isfinite(distances[i])):
            judged = replace(judged, excess=float(distances[i] / limit))
        if not judged.familiar:
            found[i] = judged
    return found


def _rows(support: SupportSet, measured: Sequence[Measured]) -> Float[Tensor, "case number"]:
    return joined(support.features.joined(), torch.stack([m.values for m in measured]))


def _ranges(values: Float[Tensor, "case measure"]) -> Ranges:
    n = len(values)
    mean = values.mean(0)
    spread = values.std(0) * math.sqrt(1 + 1 / n) if n > 1 else torch.zeros_like(mean)
    far = min(_WIDEST, float(stats.t.ppf(1 - _RANGE_TAIL / 2, max(n - 1, 1))))
    margin = torch.tensor([_MARGINS.get(m, _INTENSITY_MARGIN) for m in MEASURES]).double()
    reach = far * spread + margin
    return Ranges(mean - reach, mean - 2 * spread, mean + 2 * spread, mean + reach)


def _neighbourhood(
    rows: Float[Tensor, "case number"], labels: Int[Tensor, "case"]
) -> Neighbourhood | None:
    """Around the classes that occur; its limit is not known yet. None without spread."""
    present = torch.tensor(sorted(set(labels.tolist())))
    free = len(rows) - len(present)
    if free < 2:
        return None
    middle, rate = rows.mean(0), _rates(rows)
    u = compressed(rows, middle, rate)
    centres = torch.stack([u[labels == c].mean(0) for c in present])
    residuals = u - centres[torch.searchsorted(present, labels)]
    within = residuals.square().sum(0).div(free).sqrt().clamp_min(_LEAST_WITHIN)
    z = (residuals / within * math.sqrt(len(rows) / free))[:, rate > 0]
    if not z.numel():
        return None
    share = _shrinkage(z)
    _, singular, found = torch.linalg.svd(z, full_matrices=False)
    kept = singular > 1e-9 * singular[0]
    directions = torch.zeros(int(kept.sum()), rows.shape[1], dtype=torch.float64)
    directions[:, rate > 0] = found[kept]
    rest = (share * z.square().mean()).clamp_min(1e-6)
    variances = (1 - share) * singular[kept].square() / len(rows) + rest
    unknown = torch.tensor(1.0, dtype=torch.float64)
    return Neighbourhood(middle, rate, within, centres, directions, variances, rest, unknown)


def _rates(rows: Float[Tensor, "case number"]) -> Float[Tensor, "number"]:
    """One over the spread. Counts that are nearly always the same have none that means anything."""
    ordered = rows.sort(dim=0).values
    steps = (ordered.diff(dim=0) > 1e-6 * rows.abs().amax(0).clamp_min(1e-6)).sum(0)
    counts = steps + 1 >= _FEWEST_VALUES
    return torch.where(counts, 1 / rows.std(0).clamp_min(1e-9), 0.0)


def _shrinkage(z: Float[Tensor, "case number"]) -> Float[Tensor, ""]:
    """Share of equal variances in the covariance (Ledoit & Wolf 2004), at least a tenth."""
    n, p = z.shape
    covariance = z.T @ z / n
    size = covariance.square().sum()
    spread = size - covariance.trace().square() / p
    norms = z.square().sum(1)
    fits = ((z @ covariance) * z).sum(1)
    noise = (norms.square() - 2 * fits + size).sum() / n**2
    return (noise / spread.clamp_min(1e-300)).clamp(0.1, 1.0)


def _held_out_distances(
    rows: Float[Tensor, "case number"],
    labels: Int[Tensor, "case"],
    patients: Int[Tensor, "case"],
) -> Float[Tensor, "case"]:
    """Distance of every case from a neighbourhood without its patient; NaN where there is none."""
    ids = torch.tensor(sorted(set(patients.tolist())))
    fold = torch.arange(len(ids)) % _MOST_FOLDS
    distances = torch.full((len(rows),), math.nan, dtype=torch.float64)
    for k in range(min(len(ids), _MOST_FOLDS)):
        out = torch.isin(patients, ids[fold == k])
        near = None if bool(out.all()) else _neighbourhood(rows[~out], labels[~out])
        if near is not None:
            distances[out] = near.distance(rows[out])
    return distances


def _limit(distances: Float[Tensor, "case"], tail: float = _TAIL) -> Float[Tensor, ""] | None:
    """Upper end of Student's prediction interval for the logarithm of the next distance."""
    logs = distances[torch.isfinite(distances)].clamp_min(1e-6).log()
    n = len(logs)
    if n < _FEWEST:
        return None
    far = float(stats.t.ppf(1 - tail, n - 1)) * math.sqrt(1 + 1 / n)
    return (logs.mean() + far * logs.std()).exp()
