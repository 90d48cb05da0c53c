"""One linear interpolation from a volume onto a patch grid.

The grid is aligned with the volume's own axes, so interpolation is separable: three small matrices
instead of a lookup per point. Where the grid is coarser than the volume, the triangle widens to the
grid spacing (as in image libraries' antialiased bilinear resizing), so that nothing is skipped.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Shaped
from threadpoolctl import ThreadpoolController


def axis_weights(
    size: int, centre: float, step: float, points: int, *, repeat_edge: bool
) -> tuple[Float[np.ndarray, "points used"], slice]:
    """Interpolation matrix along one axis, and the voxels that it uses.

    Args:
        size: voxels along the axis.
        centre: where the grid's middle lies, in voxel units.
        step: grid spacing in voxel units.
        points: grid points.
        repeat_edge: beyond the scan, repeat the outermost voxel instead of giving zero.

    Returns:
        Rows that sum to one (to zero beyond the scan, unless `repeat_edge`), over the voxels of the
        returned slice.
    """
    wanted = centre + (np.arange(points) - (points - 1) / 2) * step
    where = np.clip(wanted, 0, size - 1)
    width = max(step, 1.0)
    first = max(int(np.floor(where[0] - width)), 0)
    last = min(int(np.ceil(where[-1] + width)), size - 1)
    voxels = np.arange(first, last + 1)
    weights = np.clip(1 - np.abs(where[:, None] - voxels[None]) / width, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    if not repeat_edge:
        weights[np.abs(wanted - where) > 0.5] = 0
    return weights, slice(first, last + 1)


def resample(
    voxels: Shaped[np.ndarray, "x y z"],
    centre: Float[np.ndarray, "3"],
    step: Float[np.ndarray, "3"],
    shape: tuple[int, int, int],
    *,
    clip: tuple[float, float] | None = None,
    repeat_edge: bool = True,
) -> Float[np.ndarray, "i j k"]:
    """Values on a grid of `shape` around `centre` (voxel units) with `step` voxels between points.

    `clip` bounds the voxels first, so that metal does not bleed into its neighbours.
    """
    matrices, used = zip(
        *(
            axis_weights(*args, repeat_edge=repeat_edge)
            for args in zip(voxels.shape, centre, step, shape, strict=True)
        ),
        strict=True,
    )
    crop = voxels[used].astype(np.float32)
    if clip is not None:
        crop = np.clip(crop, *clip)
    wx, wy, wz = (m.astype(np.float32) for m in matrices)
    # Small products: the threads of a BLAS would only wait for each other and for the encoder.
    with _controller().limit(limits=1, user_api="blas"):
        along_z = crop @ wz.T
        along_y = np.einsum("jy,xyk->xjk", wy, along_z, optimize=True)
        return np.tensordot(wx, along_y, axes=(1, 0))


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
