"""Made-up and borrowed volumes that are unlike anything that medfs-base was trained on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from medfs.core.cases import Case
from medfs.core.volumes import Provenance, Volume
from medfs.scans.nifti import read_nifti
from medfs.workflows.sources import ArraySource


def noise_ct(n: int, seed: int) -> Iterator[ArraySource]:
    """Independent noise in HU, an ellipsoid as the region: nothing is there."""
    for number, rng in _numbered(n, seed):
        voxels = rng.normal(-200, 400, size=(48, 48, 48)).astype("float32")
        yield _source("noise", number, voxels, _ellipsoid(rng, 48, (4, 14)), 1.0, "CT")


def spect(n: int, seed: int) -> Iterator[ArraySource]:
    """Blurred uptake of a whole head on 6 mm voxels, counting noise, the head as the region."""
    for number, rng in _numbered(n, seed):
        head = _ellipsoid(rng, 32, (11, 14))
        uptake = gaussian_filter(rng.gamma(2.0, 1.0, size=head.shape), 2.0) * head
        for at in ((12, 16, 16), (20, 16, 16)):
            uptake += 3 * rng.uniform(0.3, 1.5) * _blob(32, at, 2.5)
        counts = rng.poisson(30 * gaussian_filter(uptake, 1.2)).astype("float32")
        yield _source("spect", number, counts, head, 6.0, "NM")


def hippocampi(folder: Path, n: int) -> Iterator[ArraySource]:
    """MR crops of the hippocampus with its mask (Medical Segmentation Decathlon, task 4)."""
    for image in sorted((folder / "images").glob("*.nii.gz"))[:n]:
        volume, label = read_nifti(image), read_nifti(folder / "labels" / image.name)
        yield ArraySource(Case(image.name, image.name, image), volume, label.voxels[0])


def _numbered(n: int, seed: int) -> Iterator[tuple[int, np.random.Generator]]:
    return ((number, np.random.default_rng([seed, number])) for number in range(n))


def _ellipsoid(
    rng: np.random.Generator, size: int, radii: tuple[float, float]
) -> NDArray[np.bool_]:
    grid = np.stack(np.meshgrid(*[np.arange(size) - size / 2] * 3, indexing="ij"), axis=-1)
    return (np.square(grid / rng.uniform(*radii, size=3)).sum(axis=-1) < 1).astype(bool)


def _blob(size: int, at: tuple[int, int, int], width: float) -> NDArray[np.float64]:
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), axis=-1)
    return np.exp(-np.square((grid - np.array(at)) / width).sum(axis=-1) / 2)


def _source(
    kind: str,
    number: int,
    voxels: NDArray[np.float32],
    mask: NDArray[np.bool_],
    mm: float,
    tag: str,
) -> ArraySource:
    name = f"{kind}-{number:03d}"
    made = Provenance("made up", (name,), "0" * 64)
    affine = np.diag([mm, mm, mm, 1.0])
    volume = Volume(voxels[None], affine, tag, "HU" if tag == "CT" else "counts", made)
    return ArraySource(Case(name, name, Path(name)), volume, mask)
