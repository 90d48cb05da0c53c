"""Random support sets and patches that the contract tests draw on."""

from collections.abc import Sequence

import torch

from medfs.core.episodes import SupportSet
from medfs.core.features import Features
from medfs.core.patches import PatchBatch


def random_features(n_cases: int, seed: int, n_features: int = 12) -> Features:
    """One block of normal features, float32."""
    generator = torch.Generator().manual_seed(seed)
    return Features({"sample": torch.randn(n_cases, n_features, generator=generator)})


def random_support(
    n_shot: Sequence[int], seed: int, *, cases_per_patient: int = 1, n_features: int = 12
) -> SupportSet:
    """Classes that overlap, with `n_shot` cases each; patients have cases of one class only.

    Args:
        n_shot: cases per class; its length is the number of classes.
        seed: of the features.
        cases_per_patient: cases in a row that belong to one patient.
        n_features: length of a row.
    """
    labels = torch.repeat_interleave(torch.arange(len(n_shot)), torch.tensor(list(n_shot)))
    blocks = random_features(len(labels), seed, n_features).blocks
    centres = random_features(len(n_shot), seed + 1, n_features).blocks
    features = Features({name: block + centres[name][labels] for name, block in blocks.items()})
    within = torch.cat([torch.arange(k) for k in n_shot])
    patients = labels * 1000 + within // cases_per_patient
    return SupportSet(features, labels, patients, tuple(f"class {c}" for c in range(len(n_shot))))


def random_patches(n_cases: int, shape: tuple[int, int, int], seed: int) -> PatchBatch:
    """Noise with a brighter ellipsoid as region, of another size, place and spacing per case."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor(shape, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")).float()
    images, regions = [], []
    for _ in range(n_cases):
        centre = (size - 1) / 2 + (torch.rand(3, generator=generator) - 0.5) * size / 8
        radius = size * (0.1 + 0.2 * torch.rand(3, generator=generator))
        distance = ((grid - centre.view(3, 1, 1, 1)) / radius.view(3, 1, 1, 1)).square().sum(0)
        region = (distance <= 1).float()
        region[tuple(int(n) // 2 for n in shape)] = 1
        images.append(torch.randn(*shape, generator=generator) * 0.2 + region - 0.5)
        regions.append(region)
    spacing = 0.7 + torch.rand(n_cases, 3, generator=generator)
    return PatchBatch(torch.stack(images)[:, None], torch.stack(regions)[:, None], spacing)
