"""How far probabilities move where MONAI's resampling fills the patch instead of medfs's.

python benchmarks/stock_transforms.py

A model of eight simulated nodules, and their patches. MONAI's SpatialResample is given the very
grid that medfs chose, which no stock transform computes: place and spacing follow from the region.
"""

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample
from torch import Tensor

from medfs.core.cases import Case
from medfs.export.graph import PatchClassifier
from medfs.preprocess.patching import make_patch
from medfs.scans.write import write_nifti
from medfs.synthesis.cohorts import SimulatedCase, simulate_cohort
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.predict import load_predictor
from medfs.workflows.sources import FileSource


def write_cases(folder: Path) -> Iterator[tuple[SimulatedCase, Case]]:
    """Eight nodules, four of each class, each patient once."""
    for i, drawn in enumerate(islice(simulate_cohort(4, 0), 8)):
        image = folder / drawn.label / f"{i}.nii.gz"
        mask = folder / drawn.label / f"{i}_mask.nii.gz"
        write_nifti(image, drawn.voxels, drawn.affine, "int16")
        write_nifti(mask, drawn.mask, drawn.affine, "uint8")
        yield drawn, Case(str(i), str(i), image, mask, drawn.label)


def stock(
    values: np.ndarray, mask: np.ndarray, spacing: np.ndarray, shape: tuple[int, ...]
) -> Tensor:
    """Values (x, y, z) of voxels 1 apart on the patch's grid around the region, by MONAI."""
    marked = np.argwhere(mask)
    centre = (marked.min(axis=0) + marked.max(axis=0)) / 2
    wanted = np.eye(4)
    wanted[:3, :3] = np.diag(spacing)
    wanted[:3, 3] = centre - (np.array(shape) - 1) / 2 * spacing
    image = MetaTensor(torch.from_numpy(values.astype(np.float32))[None], affine=torch.eye(4))
    resample = SpatialResample(mode="bilinear", padding_mode="border", dtype=np.float32)
    return torch.as_tensor(resample(image, dst_affine=torch.from_numpy(wanted), spatial_size=shape))


def main() -> None:
    """Print the largest difference for each case."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cases = list(write_cases(root / "cases"))
        features = ("radiomics",)
        adapt(AdaptRequest(root / "cases", root / "model", features=features, use_cache=False))
        predictor = load_predictor(root / "model", "cpu", use_cache=False)
        graph = PatchClassifier(predictor.embedder.encoders, predictor.calibrated)
        preset = predictor.embedder.preset
        low, high = preset.intensity.low, preset.intensity.high
        for _, case in cases:
            volume, mask = FileSource(case, True).load()
            patch = make_patch(volume, mask, preset)
            spacing = patch.spacing.numpy() / volume.spacing
            inside = np.asarray(mask) > 0
            values = np.clip(volume.voxels[0], low, high)
            image = 2 * (stock(values, inside, spacing, preset.shape) - low) / (high - low) - 1
            region = (stock(inside, inside, spacing, preset.shape) >= 0.5).float()
            ours = graph(patch.image[None], patch.roi[None], patch.spacing[None])
            theirs = graph(image[None].float(), region[None], patch.spacing[None])
            far = float((ours - theirs).abs().max())
            print(f"{case.case_id}: {np.round(spacing, 2)} voxels apart, moved by {far:.4f}")


if __name__ == "__main__":
    main()
