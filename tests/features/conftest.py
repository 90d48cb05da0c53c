"""Random regions and images."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medfs.core.patches import PatchBatch


def blob(seed, shape=(16, 18, 20), share=0.15):
    """A lumpy boolean region that does not touch the border."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 2.0)
    field[[0, -1]] = field[:, [0, -1]] = field[:, :, [0, -1]] = field.min()
    return field > np.quantile(field, 1 - share)


def as_batch(image, roi, spacing=(1.0, 1.0, 1.0), dtype=torch.float32):
    def tensor(a):
        return torch.from_numpy(np.ascontiguousarray(a)).to(dtype)[None, None]

    return PatchBatch(tensor(image), tensor(roi), torch.tensor([spacing], dtype=dtype))


@pytest.fixture(scope="session", name="blob")
def _blob():
    return blob


@pytest.fixture(scope="session", name="as_batch")
def _as_batch():
    return as_batch
