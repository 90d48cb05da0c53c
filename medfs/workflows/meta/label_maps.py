"""Real anatomy for synthetic tasks: label maps of a folder, on one small grid."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from medfs.core.errors import CohortError
from medfs.scans.nifti import read_nifti

# Maps are drawn at most twice as fine as the volumes of the tasks; more would be thrown away.
_FINER = 2


def read_label_maps(folder: Path, shape: tuple[int, int, int]) -> Int[Tensor, "map x y z"]:
    """Every `.nii` and `.nii.gz` of the folder, each reduced to twice the shape by nearest voxels.

    Raises:
        CohortError: the folder holds none, or one whose voxels are no whole numbers from zero.
        ScanReadError, GeometryError: a file cannot be read.
    """
    files = sorted(p for p in folder.glob("*.nii*") if p.is_file()) if folder.is_dir() else []
    if not files:
        raise CohortError(
            "there are no label maps",
            case=str(folder),
            why="No .nii or .nii.gz file lies in this folder",
            todo="Give a folder of label maps in NIfTI, or leave `shapes` out",
        )
    return torch.stack([_reduced(_labels(path), shape) for path in files])


def _labels(path: Path) -> Int[Tensor, "x y z"]:
    voxels = read_nifti(path).voxels[0]
    whole = np.rint(voxels)
    if not np.array_equal(whole, voxels) or whole.min() < 0:
        raise CohortError(
            "is no label map",
            case=path.name,
            why=f"Its voxels go from {voxels.min():g} to {voxels.max():g}, not by whole numbers",
            todo="Take it out of the folder of label maps",
        )
    return torch.from_numpy(whole.astype(np.int64))


def _reduced(labels: Int[Tensor, "x y z"], shape: tuple[int, int, int]) -> Int[Tensor, "i j k"]:
    for axis, n in enumerate(shape):
        at = torch.linspace(0, labels.shape[axis] - 1, _FINER * n).round().long()
        labels = labels.index_select(axis, at)
    return labels
