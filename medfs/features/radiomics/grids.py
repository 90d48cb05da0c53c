"""Neighbourhoods on the patch grid, by shifted slices. Static shapes throughout.

Slices and element-wise extremes are several times faster on a CPU than pooling layers.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

AXES = (2, 3, 4)


def per_case(values: Float[Tensor, "batch"]) -> Float[Tensor, "batch 1 1 1 1"]:
    """One number per case, ready to meet images."""
    return values.view(-1, 1, 1, 1, 1)


def total(image: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch"]:
    """Sum over all voxels."""
    return image.sum(dim=(1, 2, 3, 4))


def padded(
    image: Float[Tensor, "batch 1 x y z"], axis: int, width: int, value: float
) -> Float[Tensor, "batch 1 i j k"]:
    """`width` more voxels of `value` at both ends of one axis."""
    sides = [0] * 6
    sides[2 * (4 - axis)] = sides[2 * (4 - axis) + 1] = width
    return pad(image, sides, value=value)


def neighbours(
    image: Float[Tensor, "batch 1 x y z"], axis: int, beyond: float
) -> tuple[Float[Tensor, "batch 1 x y z"], Float[Tensor, "batch 1 x y z"]]:
    """The voxel before and the voxel after along one axis; past the patch lies `beyond`."""
    size, wider = image.shape[axis], padded(image, axis, 1, beyond)
    return wider.narrow(axis, 0, size), wider.narrow(axis, 2, size)


def adjacent(
    image: Float[Tensor, "batch 1 x y z"], axis: int
) -> tuple[Float[Tensor, "batch 1 i j k"], Float[Tensor, "batch 1 i j k"]]:
    """Both members of every pair of touching voxels along one axis."""
    size = image.shape[axis]
    return image.narrow(axis, 0, size - 1), image.narrow(axis, 1, size - 1)


def runs(
    mask: Float[Tensor, "batch 1 x y z"], lengths: tuple[int, int, int]
) -> Float[Tensor, "batch 1 i j k"]:
    """Where a box of 1 or 2 voxels per axis lies wholly inside."""
    for axis, length in zip(AXES, lengths, strict=True):
        if length == 2:
            mask = torch.minimum(*adjacent(mask, axis))
    return mask


def surface(roi: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch 1 x y z"]:
    """Inside voxels with a face neighbour outside; beyond the patch is outside."""
    inner = roi
    for axis in AXES:
        inner = torch.minimum(inner, torch.minimum(*neighbours(roi, axis, 0.0)))
    return roi - inner


def local_maximum(image: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch 1 x y z"]:
    """The largest value among each voxel (≥ 0) and its 26 neighbours."""
    for axis in AXES:
        image = torch.maximum(image, torch.maximum(*neighbours(image, axis, 0.0)))
    return image


def distance(
    target: Float[Tensor, "batch 1 x y z"],
    spacing: Float[Tensor, "batch 3"],
    steps: int,
    *,
    border: bool,
) -> Float[Tensor, "batch 1 x y z"]:
    """Euclidean distance in mm to the nearest target voxel, between voxel centres.

    Squared distances separate by axis (Felzenszwalb & Huttenlocher 2012); along each, the lower
    envelope is taken over shifts of up to `steps` voxels, so that the result is exact up to that
    many steps and capped one step further.

    Args:
        target: {0, 1}.
        spacing: mm.
        steps: how far is looked.
        border: whether everything beyond the patch is target.
    """
    far = 1e6
    squares = (1 - target) * far
    for axis in AXES:
        size, nearest = squares.shape[axis], squares
        wider = padded(squares, axis, steps, 0.0 if border else far)
        for k in range(1, steps + 1):
            before = wider.narrow(axis, steps - k, size)
            after = wider.narrow(axis, steps + k, size)
            cost = per_case((k * spacing[:, axis - 2]) ** 2)
            nearest = torch.minimum(nearest, torch.minimum(before, after) + cost)
        squares = nearest
    cap = per_case((steps + 1) * spacing.amin(dim=1))
    return torch.minimum(torch.sqrt(squares + 1e-12), cap)
