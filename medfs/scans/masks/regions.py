"""A region as it was drawn, and as it lies on the scan."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Notes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """A region of interest on the grid of its scan.

    Attributes:
        mask: (x, y, z) of the scan; True where the centre of a voxel lies in the region.
        notes: (subject, sentence) pairs that the user must be told, like `Provenance.skipped`:
            which of several regions it is, whether it was resampled or cut off.
    """

    mask: Bool[np.ndarray, "x y z"]
    notes: Notes = ()


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A region on the grid of its own file.

    Attributes:
        mask: (i, j, k) in any axis order and direction; everything outside the array is outside
            the region.
        affine: voxel index (i, j, k, 1) to mm, RAS+; sheared where slices are stacked at an angle.
        notes: as in `Roi`.
    """

    mask: Bool[np.ndarray, "i j k"]
    affine: Float[np.ndarray, "4 4"]
    notes: Notes = ()
