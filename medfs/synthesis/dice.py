"""Random numbers for a batch of cases, all of them from one generator."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Dice:
    """Two streams: parameters come from the caller's generator, voxels from one on the device.

    So a seed gives the same anatomy and the same labels on every device; only the noise in the
    voxels, too much to be copied, differs between a CPU and a GPU.

    Attributes:
        few: the caller's generator.
        many: a generator on `device`, seeded by `few`.
        device: where all results lie.
    """

    few: torch.Generator
    many: torch.Generator
    device: torch.device

    @classmethod
    def of(cls, generator: torch.Generator, device: torch.device | None = None) -> "Dice":
        """Dice that advance `generator`; without a device they lie where the generator does."""
        device = generator.device if device is None else device
        seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
        return cls(generator, torch.Generator(device).manual_seed(int(seed)), device)

    def uniform(self, low: float, high: float, *shape: int) -> Float[Tensor, "*shape"]:
        """Uniform on [low, high)."""
        raw = torch.rand(shape, generator=self.few, device=self.few.device)
        return (low + (high - low) * raw).to(self.device)

    def normal(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Standard normal parameters."""
        return torch.randn(shape, generator=self.few, device=self.few.device).to(self.device)

    def integers(self, high: int, *shape: int) -> Int[Tensor, "*shape"]:
        """Integers 0 … high − 1."""
        raw = torch.randint(high, shape, generator=self.few, device=self.few.device)
        return raw.to(self.device)

    def noise(self, *shape: int) -> Float[Tensor, "*shape"]:
        """Standard normal voxels."""
        return torch.randn(shape, generator=self.many, device=self.device)

    def directions(self, *shape: int) -> Float[Tensor, "*shape 3"]:
        """Unit vectors, uniform on the sphere."""
        return torch.nn.functional.normalize(self.normal(*shape, 3), dim=-1)

    def rotations(self, *shape: int) -> Float[Tensor, "*shape 3 3"]:
        """Rotation matrices, uniform over all rotations (from unit quaternions)."""
        w, x, y, z = torch.nn.functional.normalize(self.normal(*shape, 4), dim=-1).unbind(-1)
        rows = (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
        return torch.stack([torch.stack(row, -1) for row in rows], -2)
