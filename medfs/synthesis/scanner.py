"""A CT scanner: what it makes of anatomy, with settings that differ from scan to scan."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int16
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from medfs.synthesis.grid import Field, Grid

CROP_MM = 40.0
# Fine steps along z that a slice is averaged from are at most this far apart.
FINE_Z_MM = 0.7


@dataclass(frozen=True, slots=True)
class ScannerFactors:
    """Settings of one scan; none of them depends on the class.

    Attributes:
        spacing: mm between voxels in the plane.
        thickness: mm of a slice, and between slices.
        blur: standard deviation of the reconstruction kernel in the plane, mm.
        noise: standard deviation of its noise, HU.
        offset: calibration error, HU.
        parenchyma: HU of aerated lung.
        texture: standard deviation of the lung's own structure, HU.
        origin: world position of the first voxel, mm, RAS.
    """

    spacing: float
    thickness: float
    blur: float
    noise: float
    offset: float
    parenchyma: float
    texture: float
    origin: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        in_plane = round(CROP_MM / self.spacing)
        return in_plane, in_plane, round(CROP_MM / self.thickness)

    @property
    def substeps(self) -> int:
        return int(np.ceil(self.thickness / FINE_Z_MM))

    @property
    def fine_grid(self) -> Grid:
        """The voxels of the scan, each slice divided into `substeps` along z."""
        x, y, z = self.shape
        fine = self.thickness / self.substeps
        return Grid.centred((x, y, z * self.substeps), (self.spacing, self.spacing, fine))

    @property
    def affine(self) -> Float[np.ndarray, "4 4"]:
        """Voxel index to mm, RAS+."""
        affine = np.diag([self.spacing, self.spacing, self.thickness, 1.0])
        affine[:3, 3] = self.origin
        return affine


def draw_scanner(rng: np.random.Generator) -> ScannerFactors:
    """Settings as they vary between hospitals: thin to thick slices, soft to sharp kernels."""
    right, anterior, superior = (float(o) for o in rng.uniform((-120, -90, -60), (80, 50, 200)))
    return ScannerFactors(
        spacing=round(float(rng.uniform(0.55, 0.95)), 4),
        thickness=float(rng.choice([1.0, 1.25, 1.5, 2.0, 2.5])),
        blur=float(rng.uniform(0.3, 0.75)),
        noise=float(rng.uniform(12, 40)),
        offset=float(rng.normal(0, 8)),
        parenchyma=float(rng.normal(-850, 25)),
        texture=float(rng.uniform(20, 45)),
        origin=(right, anterior, superior),
    )


def slice_average(fine: Float[np.ndarray, "x y fine"], substeps: int) -> Field:
    """Mean over the fine steps of every slice: partial volume along z."""
    x, y, z = fine.shape
    return fine.reshape(x, y, z // substeps, substeps).mean(axis=3)


def lung_texture(scanner: ScannerFactors, rng: np.random.Generator) -> Field:
    """Structure of the lung too small to draw, on the voxels of the scan, HU about zero.

    Fine tissue of about 1 mm, and slow changes of aeration of about 6 mm.
    """
    spacing = np.array([scanner.spacing, scanner.spacing, scanner.thickness])
    white = rng.standard_normal(scanner.shape, np.float32)
    fine = _unit(gaussian_filter(white, 0.8 / spacing, truncate=3))
    slow = _unit(gaussian_filter(white[::-1], 6.0 / spacing, truncate=2))
    return np.float32(scanner.texture) * (np.float32(0.9) * fine + np.float32(0.45) * slow)


def acquire(
    tissue: Field, scanner: ScannerFactors, rng: np.random.Generator
) -> Int16[np.ndarray, "x y z"]:
    """Blur, noise, offset and rounding: the scan of anatomy given in HU per voxel.

    The noise goes through the same kernel as the anatomy, hence is correlated in the plane.
    """
    sigma = scanner.blur / scanner.spacing
    noise = rng.standard_normal(tissue.shape, np.float32)
    blurred, correlated = (_blur_plane(field, sigma) for field in (tissue, noise))
    scan = blurred + np.float32(scanner.noise) * _unit(correlated) + np.float32(scanner.offset)
    return np.clip(np.rint(scan), -1024, 3071).astype(np.int16)


def _blur_plane(field: Field, sigma: float) -> Field:
    for axis in (0, 1):
        field = gaussian_filter1d(field, sigma, axis=axis, mode="nearest", truncate=3)
    return field


def _unit(field: Field) -> Field:
    return (field - field.mean()) / field.std()
