"""Neighbourhoods on the patch grid: shells, erosion depth, derivatives. All shapes are static."""

import torch
from jaxtyping import Float
from torch import Tensor


def dilate(mask: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch 1 x y z"]:
    """Every voxel with a neighbour (of 26) inside."""
    # Slices and element-wise maxima: several times faster on a CPU than max_pool3d.
    for axis in (2, 3, 4):
        pairs = torch.maximum(*_adjacent(mask, axis))
        size = mask.shape[axis]
        inner = torch.maximum(*_adjacent(pairs, axis))
        ends = pairs.narrow(axis, 0, 1), pairs.narrow(axis, size - 2, 1)
        mask = torch.cat([ends[0], inner, ends[1]], dim=axis)
    return mask


def erode(mask: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch 1 x y z"]:
    """Every voxel whose 26 neighbours are inside; beyond the patch is outside."""
    for axis in (2, 3, 4):
        pairs = torch.minimum(*_adjacent(mask, axis))
        inner = torch.minimum(*_adjacent(pairs, axis))
        outside = torch.zeros_like(mask.narrow(axis, 0, 1))
        mask = torch.cat([outside, inner, outside], dim=axis)
    return mask


def runs(
    mask: Float[Tensor, "batch 1 x y z"], lengths: tuple[int, int, int]
) -> Float[Tensor, "batch 1 i j k"]:
    """Where a box of 1 or 2 voxels per axis lies wholly inside."""
    for axis, length in enumerate(lengths, start=2):
        if length == 2:
            mask = torch.minimum(*_adjacent(mask, axis))
    return mask


def _adjacent(
    image: Float[Tensor, "batch 1 x y z"], axis: int
) -> tuple[Float[Tensor, "batch 1 i j k"], Float[Tensor, "batch 1 i j k"]]:
    size = image.shape[axis]
    return image.narrow(axis, 0, size - 1), image.narrow(axis, 1, size - 1)


def shell(roi: Float[Tensor, "batch 1 x y z"], steps: int = 3) -> Float[Tensor, "batch 1 x y z"]:
    """The voxels within `steps` grid steps around the region."""
    around = roi
    for _ in range(steps):
        around = dilate(around)
    return around - roi


def depth(roi: Float[Tensor, "batch 1 x y z"], steps: int = 12) -> Float[Tensor, "batch 1 x y z"]:
    """Chebyshev distance to the outside in grid steps, up to `steps`: 1 at the surface."""
    total = roi
    for _ in range(steps - 1):
        roi = erode(roi)
        total = total + roi
    return total


def smooth(image: Float[Tensor, "batch 1 x y z"], sigma: float) -> Float[Tensor, "batch 1 x y z"]:
    """Gaussian filter with σ in grid steps, cut off at 4σ; the border is repeated.

    Each axis is one product with a banded matrix: on a CPU far faster than a convolution with a
    single channel.
    """
    x, y, z = (_gaussian(n, sigma).to(image) for n in image.shape[2:])
    image = image @ z.T
    image = y @ image
    return (x @ image.flatten(3)).reshape(image.shape)


def _gaussian(size: int, sigma: float) -> Float[Tensor, "size size"]:
    radius = int(4 * sigma + 0.5)
    where = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (where / sigma) ** 2)
    source = (torch.arange(size)[:, None] + where.long()[None]).clamp(0, size - 1)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add(1, source, (kernel / kernel.sum()).expand(size, -1))


def laplacian(image: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch 1 x y z"]:
    """Sum of second differences, per squared grid step; the border is repeated."""
    total = torch.zeros_like(image)
    for before, after in _neighbours(image):
        total = total + before + after - 2 * image
    return total


def gradient_magnitude(image: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch 1 x y z"]:
    """Length of the central-difference gradient, per grid step; the border is repeated."""
    squares = torch.zeros_like(image)
    for before, after in _neighbours(image):
        squares = squares + ((after - before) / 2) ** 2
    return torch.sqrt(squares + 1e-12)


def _neighbours(
    image: Float[Tensor, "batch 1 x y z"],
) -> list[tuple[Float[Tensor, "batch 1 x y z"], Float[Tensor, "batch 1 x y z"]]]:
    pairs = []
    for axis in (2, 3, 4):
        size = image.shape[axis]
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, size - 1, 1)
        before = torch.cat([first, image.narrow(axis, 0, size - 1)], dim=axis)
        after = torch.cat([image.narrow(axis, 1, size - 1), last], dim=axis)
        pairs.append((before, after))
    return pairs
