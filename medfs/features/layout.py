"""What is where in the patch: brightness and edges by place, for what no mask was drawn around.

The patch is divided into coarse cells. Each cell tells how bright it is, how much it varies, how
steep its edges are and which way they run (the last two in the manner of histograms of oriented
gradients; Dalal & Triggs, CVPR 2005). Brightness is relative to the patch, steepness to what is
usual in it, so gain and offset of a scanner cancel. The region is not read.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.patches import PatchBatch

# Cells along each axis. With three there is a cell in the middle, where a finding mostly lies.
CELLS = (3, 2)
PER_CELL = ("mean", "log_sd", "log_edge", "along_x", "along_y", "along_z")
# Points along an axis that are read at most: cells are means of many, and need no more.
_POINTS = 24
# Variance and edges below this share of the patch's own are hardly any.
_FLOOR = 0.01
# Slices that differ by less than this share of the patch's range are one slice, repeated.
_SAME = 1e-5

NAMES = tuple(
    f"{what}_{n}_{x}{y}{z}"
    for n in CELLS
    for what in PER_CELL
    for x in range(n)
    for y in range(n)
    for z in range(n)
)


class Layout(torch.nn.Module):
    """An encoder that needs neither a mask nor weights."""

    name = "layout"
    identity = "layout-1"
    feature_names = NAMES

    def forward(self, patches: PatchBatch) -> Float[Tensor, "batch feature"]:
        return layout(patches.image, patches.spacing)


def layout(
    image: Float[Tensor, "batch 1 x y z"], spacing: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch feature"]:
    """`NAMES`, in that order; finite for every image, a constant one too.

    A mirrored patch has the same features in mirrored cells. What lies beyond the scan, where the
    image repeats its edge, is not looked at: a cell without anything else has zeros.

    Args:
        image: intensities; any gain above zero and any offset give the same features.
        spacing: mm along x, y, z: edges are measured per mm.
    """
    points, step, within = _coarser(image, spacing)
    weights = _outer(within)[:, None]
    z = _standardised(points, weights)
    squares = _slopes(z, step).square()
    usual = _mean(squares.sum(dim=1, keepdim=True), weights).clamp_min(1e-12)
    maps = torch.cat([z, z.square(), squares / usual], dim=1)
    return torch.cat([_of_cells(_pooled(maps, within, n)).flatten(1) for n in CELLS], dim=1)


def _of_cells(pooled: Float[Tensor, "batch 5 i j k"]) -> Float[Tensor, "batch 6 i j k"]:
    """`PER_CELL` from the means of z, z² and the squared slopes along x, y, z."""
    mean, energies = pooled[:, :1], pooled[:, 2:]
    variance = (pooled[:, 1:2] - mean.square()).clamp_min(0)
    total = energies.sum(dim=1, keepdim=True)
    spread, edge = (torch.log1p(v / _FLOOR) / 2 for v in (variance, total))
    return torch.cat([mean, spread, edge, energies / (total + _FLOOR)], dim=1)


def _coarser(
    image: Float[Tensor, "batch 1 x y z"], spacing: Float[Tensor, "batch 3"]
) -> tuple[Float[Tensor, "batch 1 i j k"], Float[Tensor, "batch 3"], list[Tensor]]:
    """The image on a coarser grid, its spacing, and by axis how far points lie in the scan."""
    size = image.shape[2:]
    kept = [min(n, _POINTS) for n in size]
    within = [_within(image, axis) for axis in (2, 3, 4)]
    means = [_shares(n, k, image) for n, k in zip(size, kept, strict=True)]
    points = torch.einsum("bcxyz,ix,jy,kz->bcijk", image, *means)
    covered = [w @ m.T for w, m in zip(within, means, strict=True)]
    return points, spacing * spacing.new_tensor(size) / spacing.new_tensor(kept), covered


def _within(image: Float[Tensor, "batch 1 x y z"], axis: int) -> Float[Tensor, "batch n"]:
    """One for slices of the scan, zero where the image repeats its edge or is constant."""
    reach = (image.amax(dim=(1, 2, 3, 4)) - image.amin(dim=(1, 2, 3, 4))) * _SAME
    change = image.diff(dim=axis).abs().transpose(1, axis).amax(dim=(2, 3, 4))
    changed = (change > reach[:, None]).to(image.dtype)
    # The last slice that is like the outermost one is the edge itself.
    from_low = torch.nn.functional.pad(changed, (0, 1), value=1.0).cumsum(dim=1)
    from_high = torch.nn.functional.pad(changed, (1, 0), value=1.0).flip(1).cumsum(dim=1).flip(1)
    return ((from_low > 0) & (from_high > 0)).to(image.dtype)


def _shares(n: int, cells: int, like: Tensor) -> Float[Tensor, "cells n"]:
    """How much of each cell each of `n` points fills: rows sum to one."""
    edges = torch.arange(cells + 1, dtype=like.dtype, device=like.device) * (n / cells)
    at = torch.arange(n, dtype=like.dtype, device=like.device)
    high = torch.minimum(edges[1:, None], at + 1)
    low = torch.maximum(edges[:-1, None], at)
    return (high - low).clamp_min(0) * (cells / n)


def _pooled(
    maps: Float[Tensor, "batch channel x y z"], within: list[Tensor], cells: int
) -> Float[Tensor, "batch channel i j k"]:
    """Means over cells, of what lies within the scan."""
    rows = []
    for inside in within:
        shares = _shares(inside.shape[1], cells, maps) * inside[:, None]
        rows.append(shares / shares.sum(dim=2, keepdim=True).clamp_min(1e-6))
    return torch.einsum("bcxyz,bix,bjy,bkz->bcijk", maps, *rows)


def _standardised(
    points: Float[Tensor, "batch 1 x y z"], weights: Float[Tensor, "batch 1 x y z"]
) -> Float[Tensor, "batch 1 x y z"]:
    """Mean 0 and variance 1 within the scan; zeros for a constant patch."""
    centred = points - _mean(points, weights)
    variance = _mean(centred.square(), weights)
    return centred * torch.where(variance > 0, variance, torch.inf).rsqrt()


def _slopes(
    z: Float[Tensor, "batch 1 x y z"], step: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch 3 x y z"]:
    """Central differences per mm along x, y, z; the image goes on with its edge."""
    slopes = []
    for axis in (2, 3, 4):
        n = z.shape[axis]
        line = torch.cat([z.narrow(axis, 0, 1), z, z.narrow(axis, n - 1, 1)], dim=axis)
        slopes.append(line.narrow(axis, 2, n) - line.narrow(axis, 0, n))
    return torch.cat(slopes, dim=1) / (2 * step)[:, :, None, None, None]


def _outer(within: list[Tensor]) -> Float[Tensor, "batch x y z"]:
    x, y, z = within
    return x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]


def _mean(
    values: Float[Tensor, "batch 1 x y z"], weights: Float[Tensor, "batch 1 x y z"]
) -> Float[Tensor, "batch 1 1 1 1"]:
    along = (2, 3, 4)
    total = weights.sum(dim=along, keepdim=True).clamp_min(1e-6)
    return (values * weights).sum(dim=along, keepdim=True) / total
