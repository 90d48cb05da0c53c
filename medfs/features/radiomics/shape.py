"""Size and form of the region in mm, as in IBSI sec. 3.1, from voxel counts and moments."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.grids import depth, runs, smooth
from medfs.features.radiomics.statistics import moments

NAMES = (
    "log_volume",
    "log_major_axis",
    "log_minor_axis",
    "log_least_axis",
    "elongation",
    "flatness",
    "surface_share",
    "compactness",
    "log_mean_depth",
    "depth_spread",
    "core_share",
    "euler",
    "bulge3",
    "bulge4",
    "bulge6",
    "radius_spread",
    "radius_skewness",
)
_BULGE_SIGMAS = (3.0, 4.0, 6.0)


def shape(
    roi: Float[Tensor, "batch 1 x y z"], spacing: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch 17"]:
    """`NAMES`, in that order. Lengths in mm, volume in mm³, natural logarithms."""
    batch = roi.shape[0]
    count = roi.reshape(batch, -1).sum(dim=1).clamp_min(1)
    volume = count * spacing.prod(dim=1)
    axes = principal_axes(roi, spacing, count)
    distance = depth(roi)
    surface = ((distance == 1).to(roi.dtype)).reshape(batch, -1).sum(dim=1) / count
    mean_depth = distance.reshape(batch, -1).sum(dim=1) / count
    spread = torch.sqrt(
        ((distance - mean_depth.view(-1, 1, 1, 1, 1)) ** 2 * roi).reshape(batch, -1).sum(dim=1)
        / count
        + 1e-12
    )
    deepest = distance.reshape(batch, -1).amax(dim=1)
    core = (distance > deepest.view(-1, 1, 1, 1, 1) / 2).to(roi.dtype)
    grid = spacing.prod(dim=1) ** (1 / 3)
    area = face_area(roi, spacing)
    # 1 for a ball measured by its voxel faces, whose area is 1.5 times that of the smooth surface.
    compactness = 1.5 * (36 * math.pi * volume**2) ** (1 / 3) / area
    measures = torch.stack(
        [
            volume.log(),
            axes[:, 0].log(),
            axes[:, 1].log(),
            axes[:, 2].log(),
            axes[:, 1] / axes[:, 0],
            axes[:, 2] / axes[:, 0],
            surface,
            compactness,
            (mean_depth * grid).log(),
            spread / mean_depth,
            core.reshape(batch, -1).sum(dim=1) / count,
            torch.asinh(euler_number(roi)),
        ],
        dim=1,
    )
    return torch.cat([measures, bulges(roi, count), radii(roi, spacing, count)], dim=1)


def bulges(
    roi: Float[Tensor, "batch 1 x y z"], count: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 3"]:
    """How much thicker the thickest place is than the average: 0 for an even tube.

    The region is blurred with σ of 3, 4 and 6 grid steps; the measure is the logarithm of the
    maximum over the mean inside it.
    """
    shares = []
    for sigma in _BULGE_SIGMAS:
        inside = (smooth(roi, sigma) * roi).flatten(1)
        shares.append((inside.amax(dim=1) * count / inside.sum(dim=1)).log())
    return torch.stack(shares, dim=1)


def radii(
    roi: Float[Tensor, "batch 1 x y z"],
    spacing: Float[Tensor, "batch 3"],
    count: Float[Tensor, "batch"],
) -> Float[Tensor, "batch 2"]:
    """Spread over mean, and skewness, of the voxels' distances to the region's centre."""
    squares = torch.zeros_like(roi)
    for position in centred_positions(roi, spacing, count):
        squares = squares + position**2
    distance = torch.sqrt(squares + 1e-12).flatten(1)
    inside = moments(distance, roi.flatten(1))
    # Half a grid step keeps a region of one voxel finite.
    half = spacing.prod(dim=1) ** (1 / 3) / 2
    return torch.stack([inside[:, 1] / (inside[:, 0] + half), inside[:, 2]], dim=1)


def centred_positions(
    roi: Float[Tensor, "batch 1 x y z"],
    spacing: Float[Tensor, "batch 3"],
    count: Float[Tensor, "batch"],
) -> list[Float[Tensor, "batch 1 i j k"]]:
    """Distance of every grid point to the region's centre along x, y and z, in mm."""
    where = []
    for axis, size in enumerate(roi.shape[2:]):
        line = torch.arange(size, dtype=roi.dtype, device=roi.device) - (size - 1) / 2
        view = [1, 1, 1, 1, 1]
        view[2 + axis] = size
        position = line.view(view) * spacing[:, axis].view(-1, 1, 1, 1, 1)
        mean = (position * roi).sum(dim=(1, 2, 3, 4)) / count
        where.append(position - mean.view(-1, 1, 1, 1, 1))
    return where


def principal_axes(
    roi: Float[Tensor, "batch 1 x y z"],
    spacing: Float[Tensor, "batch 3"],
    count: Float[Tensor, "batch"],
) -> Float[Tensor, "batch 3"]:
    """Axes of the ellipsoid with the region's second moments, 4√λ in mm, longest first.

    IBSI (TDIC, P9VJ, 7J51) takes voxels as points; here a voxel has its own extent, s²/12 per axis,
    so that a region of one slice still has a thickness.
    """
    where = centred_positions(roi, spacing, count)
    rows = []
    for a in range(3):
        row = [(where[a] * where[b] * roi).sum(dim=(1, 2, 3, 4)) / count for b in range(3)]
        rows.append(torch.stack(row, dim=1))
    second = torch.stack(rows, dim=1) + torch.diag_embed(spacing**2 / 12)
    return 4 * torch.sqrt(symmetric_eigenvalues(second).clamp_min(1e-12))


def symmetric_eigenvalues(m: Float[Tensor, "batch 3 3"]) -> Float[Tensor, "batch 3"]:
    """Eigenvalues of symmetric 3 × 3 matrices, largest first, in closed form (Smith 1961).

    An iterative solver would not survive export.
    """
    mean = (m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]) / 3
    shifted = m - mean[:, None, None] * torch.eye(3, dtype=m.dtype, device=m.device)
    scale = torch.sqrt((shifted**2).sum(dim=(1, 2)) / 6 + 1e-24)
    b = shifted / scale[:, None, None]
    determinant = (
        b[:, 0, 0] * (b[:, 1, 1] * b[:, 2, 2] - b[:, 1, 2] * b[:, 2, 1])
        - b[:, 0, 1] * (b[:, 1, 0] * b[:, 2, 2] - b[:, 1, 2] * b[:, 2, 0])
        + b[:, 0, 2] * (b[:, 1, 0] * b[:, 2, 1] - b[:, 1, 1] * b[:, 2, 0])
    )
    angle = torch.acos((determinant / 2).clamp(-1, 1)) / 3
    largest = mean + 2 * scale * torch.cos(angle)
    least = mean + 2 * scale * torch.cos(angle + 2 * math.pi / 3)
    return torch.stack([largest, 3 * mean - largest - least, least], dim=1)


def face_area(
    roi: Float[Tensor, "batch 1 x y z"], spacing: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch"]:
    """Area of the voxel faces between inside and outside, mm²; the patch's border is outside."""
    padded = torch.nn.functional.pad(roi, (1, 1, 1, 1, 1, 1))
    face = spacing.prod(dim=1, keepdim=True) / spacing
    area = torch.zeros_like(spacing[:, 0])
    for axis in range(3):
        steps = torch.diff(padded, dim=2 + axis).abs().sum(dim=(1, 2, 3, 4))
        area = area + steps * face[:, axis]
    return area.clamp_min(1e-6)


def euler_number(roi: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch"]:
    """Components − tunnels + cavities under 6-connectivity: vertices − edges + faces − cells.

    Voxels are the vertices; edges, faces and cells are runs of 2, 2 × 2 and 2 × 2 × 2 voxels that
    lie inside.
    """
    total = torch.zeros_like(roi[:, 0, 0, 0, 0])
    for kernel in [(i, j, k) for i in (1, 2) for j in (1, 2) for k in (1, 2)]:
        whole = runs(roi, kernel)
        sign = 1.0 if sum(kernel) % 2 else -1.0
        total = total + sign * whole.sum(dim=(1, 2, 3, 4))
    return total
