"""Volumes made of arrays."""

import numpy as np
import pytest

from medfs.core.volumes import Provenance, Volume


def make_volume(voxels, spacing=(1.0, 1.0, 1.0), modality=None, unit="arbitrary", affine=None):
    affine = np.diag([*spacing, 1.0]) if affine is None else affine
    origin = Provenance("test", ("scan.nii",), "0" * 64)
    return Volume(np.asarray(voxels)[None], affine, modality, unit, origin)


def make_ball(shape, centre, radius, spacing=(1.0, 1.0, 1.0)):
    """Voxels within `radius` mm of `centre` (voxels)."""
    grid = [(np.arange(n) - c) * s for n, c, s in zip(shape, centre, spacing, strict=True)]
    x, y, z = np.meshgrid(*grid, indexing="ij")
    return x**2 + y**2 + z**2 <= radius**2


@pytest.fixture(scope="session")
def volume():
    return make_volume


@pytest.fixture(scope="session")
def ball():
    return make_ball
