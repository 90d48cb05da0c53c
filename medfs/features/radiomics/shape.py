"""Size and form of the region: IBSI reference manual, sec. 3.1 (morphological features)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.features.radiomics.grids import total
from medfs.features.radiomics.regions import Regions
from medfs.features.radiomics.topology import euler_number

NAMES = (
    "log_volume",
    "log_major_axis",
    "log_minor_axis",
    "log_least_axis",
    "elongation",
    "flatness",
    "compactness",
    "euler",
)


def shape(regions: Regions) -> Float[Tensor, "batch 8"]:
    """`NAMES`, in that order.

    Natural logarithms of the volume (YEKZ, mm³) and of the principal axes (TDIC, P9VJ, 7J51, mm);
    elongation (Q3CK) and flatness (N17B) are minor and least over major axis; compactness is the
    sphericity (QCFX) by voxel faces; euler is the inverse hyperbolic sine of the Euler number.
    """
    axes = principal_axes(regions)
    return torch.stack(
        [
            regions.volume.log(),
            *axes.log().unbind(dim=1),
            axes[:, 1] / axes[:, 0],
            axes[:, 2] / axes[:, 0],
            # A ball's voxel faces have 1.5 times the area of its smooth surface.
            1.5 * ball_area(regions.volume) / face_area(regions),
            torch.asinh(euler_number(regions.roi)),
        ],
        dim=1,
    )


def ball_area(volume: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    """Surface in mm² of the ball of a volume in mm³."""
    return (36 * math.pi * volume**2) ** (1 / 3)


def principal_axes(regions: Regions) -> Float[Tensor, "batch 3"]:
    """Axes of the ellipsoid with the region's second moments, 4√λ in mm, longest first.

    IBSI takes voxels as points; here a voxel has its own extent, s²/12 per axis, so that a region
    of one slice still has a thickness.
    """
    roi, spacing = regions.roi.flatten(1), regions.spacing
    where = _coordinates(regions.roi) * spacing[:, :, None]
    where = where - (where @ roi[:, :, None]) / regions.count[:, None, None]
    second = (where * roi[:, None]) @ where.transpose(1, 2) / regions.count[:, None, None]
    values = symmetric_eigenvalues(second + torch.diag_embed(spacing**2 / 12))
    return 4 * torch.sqrt(values.clamp_min(1e-12))


def _coordinates(roi: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "1 3 voxel"]:
    lines = [
        torch.arange(n, dtype=roi.dtype, device=roi.device) - (n - 1) / 2 for n in roi.shape[2:]
    ]
    return torch.stack(torch.meshgrid(*lines, indexing="ij")).reshape(1, 3, -1)


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
    # Strictly inside (−1, 1): the slope of acos at its ends is infinite.
    limit = 1 - torch.finfo(m.dtype).eps
    angle = torch.acos((determinant / 2).clamp(-limit, limit)) / 3
    largest = mean + 2 * scale * torch.cos(angle)
    least = mean + 2 * scale * torch.cos(angle + 2 * math.pi / 3)
    return torch.stack([largest, 3 * mean - largest - least, least], dim=1)


def face_area(regions: Regions) -> Float[Tensor, "batch"]:
    """Area in mm² of the voxel faces between inside and outside; beyond the patch is outside."""
    outlined = torch.nn.functional.pad(regions.roi, (1, 1, 1, 1, 1, 1))
    face = regions.spacing.prod(dim=1, keepdim=True) / regions.spacing
    area = torch.zeros_like(regions.volume)
    for axis in range(3):
        area = area + total(torch.diff(outlined, dim=2 + axis).abs()) * face[:, axis]
    return torch.maximum(area, face.amin(dim=1))
