"""A CT scanner with real slices: millimetres, Hounsfield units and an affine."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int16

from medfs.synthesis.dice import Dice
from medfs.synthesis.space import Fields, Matrices, Space, gaussian, separable, unit_noise

CROP_MM = 40.0
THICKNESSES_MM = (1.0, 1.25, 1.5, 2.0, 2.5)
# Fine steps along z that a slice is averaged from are at most this far apart.
FINE_Z_MM = 0.8


@dataclass(frozen=True, slots=True)
class Scanner:
    """Settings of one scan.

    Attributes:
        spacing: mm between voxels in the plane.
        thickness: mm of a slice, and between slices.
        blur: standard deviation of the reconstruction kernel in the plane, mm.
        noise: standard deviation of its noise, HU.
        offset: calibration error, HU.
        origin: world position of the first voxel, mm, RAS.
    """

    spacing: float
    thickness: float
    blur: float
    noise: float
    offset: float
    origin: tuple[float, float, float]

    @classmethod
    def drawn(cls, dice: Dice) -> "Scanner":
        """Settings as they vary between hospitals: thin to thick slices, soft to sharp kernels."""
        right, anterior, superior = dice.uniform(-1, 1, 3).tolist()
        return cls(
            spacing=round(float(dice.uniform(0.55, 0.95, 1)), 4),
            thickness=THICKNESSES_MM[int(dice.integers(len(THICKNESSES_MM), 1))],
            blur=float(dice.uniform(0.3, 0.75, 1)),
            noise=float(dice.uniform(12, 40, 1)),
            offset=float(8 * dice.normal(1)),
            origin=(100 * right - 20, 70 * anterior - 20, 130 * superior + 70),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the crop."""
        in_plane = round(CROP_MM / self.spacing)
        return in_plane, in_plane, round(CROP_MM / self.thickness)

    @property
    def fine(self) -> Space:
        """The voxels of the scan, each slice divided along z."""
        x, y, z = self.shape
        steps = self._steps
        sizes = [self.spacing, self.spacing, self.thickness / steps]
        return Space((x, y, z * steps), torch.tensor([sizes]))

    @property
    def affine(self) -> Float[np.ndarray, "4 4"]:
        """Voxel index to mm, RAS+."""
        affine = np.diag([self.spacing, self.spacing, self.thickness, 1.0])
        affine[:3, 3] = self.origin
        return affine

    @property
    def _steps(self) -> int:
        return int(np.ceil(self.thickness / FINE_Z_MM))

    def sliced(self, fine: Fields) -> Fields:
        """Means over the fine steps of every slice."""
        n, x, y, z = fine.shape
        return fine.view(n, x, y, z // self._steps, self._steps).mean(dim=4)

    def scan(self, tissue: Fields, dice: Dice) -> Int16[np.ndarray, "x y z"]:
        """Slices, kernel, noise, offset and rounding: voxels in HU of tissue on the fine grid.

        The noise goes through the same kernel as the tissue, hence is correlated in the plane.
        """
        sliced = self.sliced(tissue)
        kernel = self._kernel(sliced.shape[3])
        noise = separable(dice.noise(*sliced.shape), unit_noise(kernel))
        scan = separable(sliced, kernel) + self.noise * noise + self.offset
        return scan[0].round().clamp(-1024, 3071).numpy().astype(np.int16)

    def _kernel(self, n_slices: int) -> Matrices:
        sigma = torch.tensor([self.blur / self.spacing])
        x, y, _ = (gaussian(n, sigma) for n in self.shape)
        return x, y, torch.eye(n_slices)[None]
