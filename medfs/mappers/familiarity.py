"""How usual a support set is among the tasks that a mapper was trained on.

A learned prior helps where it is true. Whether it is true of ten cases cannot be proved, but cases
that vary as no training task did can be recognised. What a mapper like `mixture` sees are
differences between cases, since it centres features on the support. So that is what is compared
with thousands of training tasks: how far the cases lie from each other, each feature and each
combination of features in units of what is usual (Mahalanobis), and how many values lie where no
case of training lay. Labels are not looked at: how well they can be predicted is the business of
held-out cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import IntegrityError
from medfs.core.tasks import TaskBatch

# Rows of `usual`, and its columns: what one training task in two hundred undercuts or exceeds.
STATISTICS = ("differences", "outside")
QUANTILES = (0.005, 0.5, 0.995)
# A support is compared with tasks of about as many cases: up to 3, 7, 15, 31, or more.
_EDGES = (4, 8, 16, 32)
# Of the cases of training so many lie beyond either end of what counts as their range.
_TAIL = 0.001
_MIDDLE = (0.16, 0.84)
# Real features may vary a little where simulated ones are bound to each other.
_SHRINKAGE = 0.1
_PREFIX = "familiarity."


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """What supports of training tasks look like.

    Attributes:
        centre: median of each feature over all cases of training.
        width: half of the range that holds their middle 68 %.
        low: below it lies one case in a thousand.
        high: above it lies one case in a thousand.
        whiten: turns differences between cases of a task into uncorrelated numbers of variance one.
        usual: of each statistic, for each size of a support, `QUANTILES` over training tasks.
    """

    centre: Float[Tensor, "feature"]
    width: Float[Tensor, "feature"]
    low: Float[Tensor, "feature"]
    high: Float[Tensor, "feature"]
    whiten: Float[Tensor, "feature feature"]
    usual: Float[Tensor, "statistic size quantile"]

    def statistics(self, rows: Float[Tensor, "case feature"]) -> Float[Tensor, "statistic"]:
        """Of a support of two or more cases; finite for any finite features.

        `differences`: mean squared Mahalanobis distance of the cases from their mean, per feature
        and per degree of freedom. `outside`: share of values beyond the range of training.
        """
        inner = self._differences(rows) @ self.whiten
        outside = (rows < self.low) | (rows > self.high)
        n, width = inner.shape
        far = inner.square().sum() / (max(1, n - 1) * width)
        return torch.stack([far, outside.to(far.dtype).mean()])

    def limits(self, n_cases: int) -> Float[Tensor, "statistic 2"]:
        """What one in two hundred training tasks of about that size undercuts, and exceeds."""
        return self.usual[:, _size_of(n_cases)][:, [0, -1]]

    def _differences(self, rows: Tensor) -> Float[Tensor, "case feature"]:
        """From the mean, in usual units; tails are pulled in, or one value would be all."""
        units = torch.asinh((rows - self.centre) / self.width)
        return units - units.mean(dim=0)

    def tensors(self) -> dict[str, Tensor]:
        """By name, as a mapper file holds them beside φ."""
        return {_PREFIX + f.name: getattr(self, f.name).float() for f in fields(self)}


def familiarity_in(tensors: Mapping[str, Tensor]) -> Familiarity | None:
    """What a mapper file holds, in double precision; None if it holds nothing of the kind.

    Raises:
        IntegrityError: some of it is missing, or sizes do not fit each other.
    """
    found = {n.removeprefix(_PREFIX): t for n, t in tensors.items() if n.startswith(_PREFIX)}
    if not found:
        return None
    if set(found) != {f.name for f in fields(Familiarity)} or not _fit_each_other(found):
        raise IntegrityError(
            "what the mapper file knows of its training tasks is damaged",
            why=f"Found: {', '.join(f'{n} {tuple(t.shape)}' for n, t in sorted(found.items()))}",
            todo="Train it again with `medfs meta-train`",
        )
    return Familiarity(**{name: t.double() for name, t in found.items()})


def familiarity_of(batches: Sequence[TaskBatch]) -> Familiarity:
    """Of the supports of these tasks; it takes thousands for usable tails."""
    supports = [
        rows[weights > 0].double()
        for batch in batches
        for rows, weights in zip(batch.support, batch.support_weights, strict=True)
    ]
    rows = torch.cat(supports)
    eye, unknown = torch.eye(rows.shape[1], dtype=rows.dtype), rows.new_zeros(0, 0, 0)
    centre, width = rows.median(dim=0).values, _middle(rows)
    low, high = _quantiles(rows, (_TAIL, 1 - _TAIL))
    begun = Familiarity(centre, width, low, high, eye, unknown)
    inner = [begun._differences(support) for support in supports]
    # Deviations from the mean of n cases are too small by (n − 1) / n.
    whiten = _whitening(torch.cat([u * (len(u) / max(1, len(u) - 1)) ** 0.5 for u in inner]))
    made = Familiarity(centre, width, low, high, whiten, unknown)
    told = torch.stack([made.statistics(support) for support in supports])
    sizes = torch.tensor([_size_of(len(support)) for support in supports])
    return Familiarity(centre, width, low, high, whiten, _tails(told, sizes))


def _middle(rows: Float[Tensor, "case feature"]) -> Float[Tensor, "feature"]:
    low, high = _quantiles(rows, _MIDDLE)
    # Most cases may share a value, such as a single component; or all.
    half = torch.where(high > low, (high - low) / 2, rows.std(dim=0))
    return torch.where(half > 0, half, torch.ones_like(half))


def _quantiles(
    rows: Float[Tensor, "case column"], shares: Sequence[float]
) -> Float[Tensor, "share column"]:
    """`torch.quantile` refuses more than 16 million numbers."""
    return rows.sort(dim=0).values[[round(q * (len(rows) - 1)) for q in shares]]


def _whitening(units: Float[Tensor, "case feature"]) -> Float[Tensor, "feature feature"]:
    """Symmetric inverse root of the second moments, which are shrunk towards a sphere."""
    moments = units.T @ units / len(units)
    sphere = moments.diagonal().mean().clamp_min(1e-12) * torch.eye(len(moments)).to(moments)
    values, vectors = torch.linalg.eigh((1 - _SHRINKAGE) * moments + _SHRINKAGE * sphere)
    return vectors @ torch.diag(values.rsqrt()) @ vectors.T


def _tails(
    told: Float[Tensor, "task statistic"], sizes: Tensor
) -> Float[Tensor, "statistic size quantile"]:
    """Quantiles per size; a size without tasks takes those of all tasks."""
    of_size = [told[sizes == size] for size in range(len(_EDGES) + 1)]
    found = [_quantiles(own if len(own) else told, QUANTILES) for own in of_size]
    return torch.stack(found).permute(2, 0, 1).contiguous()


def _size_of(n_cases: int) -> int:
    return sum(n_cases >= edge for edge in _EDGES)


def _fit_each_other(found: Mapping[str, Tensor]) -> bool:
    width = tuple(found["centre"].shape)
    sizes = {n: tuple(t.shape) for n, t in found.items()}
    wanted = dict.fromkeys(("centre", "width", "low", "high"), width)
    wanted |= {
        "whiten": (*width, *width),
        "usual": (len(STATISTICS), len(_EDGES) + 1, len(QUANTILES)),
    }
    sound = all(bool(torch.isfinite(t).all()) for t in found.values())
    return len(width) == 1 and sizes == wanted and sound and bool((found["width"] > 0).all())
