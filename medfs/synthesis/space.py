"""Where the voxels of a batch of cases lie, and fields over them that cost little.

A linear or a quadratic form of a position is a sum of one term per axis, and blurring, slicing and
interpolation are products of one matrix per axis. So nothing here needs the coordinates of all
voxels, and each case may have its own spacing and its own kernel.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Fields = Float[Tensor, "case x y z"]
Matrices = tuple[
    Float[Tensor, "case x from_x"], Float[Tensor, "case y from_y"], Float[Tensor, "case z from_z"]
]


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Voxel centres in mm; 0 is the middle of the field.

    Attributes:
        shape: voxels along x, y, z.
        spacing: (case, 3), mm between voxels along x, y, z.
    """

    shape: tuple[int, int, int]
    spacing: Float[Tensor, "case 3"]

    def __len__(self) -> int:
        return len(self.spacing)

    @property
    def axes(self) -> tuple[Float[Tensor, "case x"], Float[Tensor, "case y"], Tensor]:
        """Positions along x, y and z in mm."""
        x, y, z = (
            (torch.arange(n, device=self.spacing.device) - (n - 1) / 2) * self.spacing[:, a, None]
            for a, n in enumerate(self.shape)
        )
        return x, y, z

    @property
    def extent(self) -> Float[Tensor, "case"]:
        """Shortest side of the field in mm."""
        sides = self.spacing * torch.tensor(self.shape, device=self.spacing.device)
        return sides.amin(dim=1)

    @property
    def voxel(self) -> Float[Tensor, "case"]:
        """Side of a cube as large as a voxel, mm."""
        return self.spacing.prod(dim=1) ** (1 / 3)

    def only(self, rows: Tensor | slice) -> "Space":
        """Some of the cases."""
        return Space(self.shape, self.spacing[rows])

    def coarser(self) -> "Space":
        """Half as many voxels over the same field."""
        counts = [(n + 1) // 2 for n in self.shape]
        pairs = zip(self.shape, counts, strict=True)
        ratio = torch.tensor([(n - 1) / (m - 1) for n, m in pairs], device=self.spacing.device)
        return Space((counts[0], counts[1], counts[2]), self.spacing * ratio)

    def refine(self, fields: Float[Tensor, "case i j k"]) -> Fields:
        """Fields of a coarser space, interpolated."""
        sigma = torch.full_like(self.spacing[:, 0], 0.45)
        x, y, z = (gaussian(n, sigma, m) for n, m in zip(self.shape, fields.shape[1:], strict=True))
        return separable(fields, (x, y, z))

    def along(self, normal: Float[Tensor, "case 3"], offset: Float[Tensor, "case"]) -> Fields:
        """normal · position + offset."""
        x, y, z = (axis * normal[:, a, None] for a, axis in enumerate(self.axes))
        return _outer_sum(x + offset[:, None], y, z)

    def squared(
        self,
        centre: Float[Tensor, "case 3"],
        scale: Float[Tensor, "case"] | None = None,
        offset: Float[Tensor, "case"] | None = None,
    ) -> Fields:
        """Squared distance from a point in mm², times a scale, plus an offset."""
        x, y, z = ((axis - centre[:, a, None]) ** 2 for a, axis in enumerate(self.axes))
        if scale is not None:
            x, y, z = (axis * scale[:, None] for axis in (x, y, z))
        if offset is not None:
            x = x + offset[:, None]
        return _outer_sum(x, y, z)


def present(there: Bool[Tensor, "case"]) -> Tensor | slice | None:
    """Where True: None if nowhere; a slice, which copies nothing, if all at the front."""
    count = int(there.sum())
    if count == 0:
        return None
    return slice(0, count) if bool(there[:count].all()) else there


def _outer_sum(
    x: Float[Tensor, "case x"], y: Float[Tensor, "case y"], z: Float[Tensor, "case z"]
) -> Fields:
    plane = x[:, :, None] + y[:, None, :]
    return plane[..., None] + z[:, None, None, :]


def separable(fields: Float[Tensor, "case i j k"], matrices: Matrices) -> Fields:
    """A matrix of each case applied along each axis."""
    a, b, c = matrices
    n, i, j, k = fields.shape
    x, y, z = a.shape[1], b.shape[1], c.shape[1]
    along_z = torch.bmm(fields.reshape(n, i * j, k), c.transpose(1, 2)).view(n, i, j, z)
    along_x = torch.bmm(a, along_z.view(n, i, j * z)).view(n, x, j, z)
    return torch.matmul(b[:, None], along_x).view(n, x, y, z)


def gaussian(n: int, sigma: Float[Tensor, "case"], n_from: int | None = None) -> Tensor:
    """(case, n, n_from): Gaussian weights between evenly spread positions; rows sum to one.

    Args:
        n: positions of the result.
        sigma: standard deviation, in steps of the source.
        n_from: positions of the source, as many as of the result unless given; the outermost of
            both coincide.
    """
    n_from = n if n_from is None else n_from
    target = torch.linspace(0, n_from - 1, n, device=sigma.device)
    away = target[:, None] - torch.arange(n_from, device=sigma.device)
    weights = torch.exp(-0.5 * (away / sigma.clamp_min(0.2)[:, None, None]) ** 2)
    return weights / weights.sum(dim=2, keepdim=True)


def slices(n: int, thickness: Float[Tensor, "case"], phase: Float[Tensor, "case"]) -> Tensor:
    """(case, n, n): voxels averaged over slices, and interpolated between their centres.

    Args:
        n: voxels along the axis.
        thickness: of a slice in voxels, at least 1.
        phase: where the first slice lies, 0 … 1 of a slice.
    """
    thick = thickness.clamp_min(1)[:, None, None]
    index = torch.arange(n, device=thickness.device, dtype=thickness.dtype)
    centre = (index + phase[:, None])[:, :, None] * thick - 0.5
    average = ((thick + 1) / 2 - (index - centre).abs()).clamp(0, 1)
    share = average.sum(dim=2, keepdim=True)
    weights = (1 - (index[None, :, None] - centre.transpose(1, 2)).abs() / thick).clamp_min(0)
    # A slice beyond the end of the field has nothing to average.
    weights = weights * (share > 0.25).transpose(1, 2) + 1e-12
    weights = weights / weights.sum(dim=2, keepdim=True)
    return torch.bmm(weights, average / share.clamp_min(1e-6))


def unit_noise(matrices: Matrices) -> Matrices:
    """Scaled such that white noise keeps unit variance, on average over the voxels."""
    scaled = [m / m.square().sum(dim=2).mean(dim=1).sqrt()[:, None, None] for m in matrices]
    return scaled[0], scaled[1], scaled[2]
