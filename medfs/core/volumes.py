"""A scan as it was read: voxels, where they lie, and where they came from."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which files made a volume.

    `files` are base names (never paths: folder names may be patients' names), `sha256` is over the
    bytes of all files in the order in which they were used, `skipped` pairs a file or series with
    the reason it was left out, `choice` says why this series was taken, and `notes` pairs a keyword
    with what a user should know of the volume (a tilt, a volume of several, lossy compression). A
    keyword that ends in "name" holds a name; other reasons and notes hold none.
    """

    reader: str
    files: tuple[str, ...]
    sha256: str
    skipped: tuple[tuple[str, str], ...] = ()
    choice: str = ""
    notes: tuple[tuple[str, str], ...] = ()

    def nameless(self) -> dict[str, Any]:
        """The same as plain data, with counts in place of the names of files and series."""
        return {
            "reader": self.reader,
            "n_files": len(self.files),
            "sha256": self.sha256,
            "choice": self.choice,
            "notes": [f"{w}: {why}" for w, why in self.notes if not w.endswith("name")],
            "skipped": dict(sorted(Counter(why for _, why in self.skipped).items())),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Voxels in RAS order (first axis towards the patient's Right, then Anterior, then Superior).

    The voxel axes are those of the scanner, permuted and flipped to the nearest RAS orientation:
    nothing is interpolated. They may lean (a tilted gantry), see `medfs.core.shear`. `voxels` is a
    NumPy array because readers are NumPy-native and nothing here needs a gradient; tensors begin at
    `Patch`.

    Attributes:
        voxels: (channel, x, y, z), any real dtype, in any memory order without negative strides
            (readers keep that of the file); intensities after the file's own rescaling.
        affine: voxel index (i, j, k, 1) to (x, y, z, 1) in mm, RAS+ world.
        modality: DICOM modality (`CT`, `MR`, `PT`), or None where the file does not say.
        unit: `HU` where the file guarantees it, `SUVbw` where it was asked for, otherwise
            `arbitrary`.
    """

    voxels: Shaped[np.ndarray, "channel x y z"]
    affine: Float[np.ndarray, "4 4"]
    modality: str | None
    unit: str
    provenance: Provenance

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along x, y and z, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def extent(self) -> tuple[float, float, float]:
        """Size of the field of view along x, y and z, in mm."""
        (sx, sy, sz), (_, nx, ny, nz) = self.spacing, self.voxels.shape
        return sx * nx, sy * ny, sz * nz
