"""What is known of a scan without looking at its tissue: what a shortcut could be made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from medfs.core.patches import Patch
from medfs.core.volumes import Volume

Millimetres = tuple[float, float, float]


@dataclass(frozen=True)
class ScanFacts:
    """Numbers of the header and of the mask's outline.

    Attributes:
        extent_mm: size of the field of view along x, y and z.
        spacing_mm: distance between neighbouring voxels along x, y and z.
        shape: number of voxels along x, y and z.
        padding: share of the patch that lies beyond the scan, 0 to 1.
        roi_mm3: volume of the region as it was marked; None without a mask.
    """

    extent_mm: Millimetres
    spacing_mm: Millimetres
    shape: tuple[int, int, int]
    padding: float
    roi_mm3: float | None

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, known: Mapping[str, Any]) -> "ScanFacts":
        """The facts that `plain` wrote; KeyError, TypeError or ValueError if any is missing."""
        ex, ey, ez = map(float, known["extent_mm"])
        sx, sy, sz = map(float, known["spacing_mm"])
        nx, ny, nz = map(int, known["shape"])
        roi = known["roi_mm3"]
        padding = float(known["padding"])
        return cls((ex, ey, ez), (sx, sy, sz), (nx, ny, nz), padding, roi and float(roi))


def scan_facts(volume: Volume, mask: Bool[np.ndarray, "x y z"] | None, patch: Patch) -> ScanFacts:
    """The facts of a scan from which `patch` was cut."""
    _, nx, ny, nz = volume.voxels.shape
    voxel_mm3 = abs(float(np.linalg.det(volume.affine[:3, :3])))
    marked = None if mask is None else float(np.count_nonzero(mask)) * voxel_mm3
    return ScanFacts(volume.extent, volume.spacing, (nx, ny, nz), patch.padding, marked)
