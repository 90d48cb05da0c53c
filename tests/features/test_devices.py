"""The same features on another device, and nearly the same in lower precision."""

import pytest
import torch

from medfs.core.patches import PatchBatch
from medfs.features.backbones import resnet10
from medfs.features.layout import Layout
from medfs.features.radiomics import Radiomics
from medfs.features.stages import StageNet
from medfs.testing.samples import random_patches

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    ],
)
# In logits, which a linear head of unit length makes of features of unit variance.
NEAR = 1e-2


@pytest.fixture(scope="module")
def small():
    """A network of medfs itself, with few channels."""
    return StageNet((8, 16)).eval()


@pytest.fixture(scope="module")
def backbone():
    from monai.networks import nets

    torch.manual_seed(0)
    fixed = {"spatial_dims": 3, "n_input_channels": 1, "feed_forward": False}
    return resnet10(nets.resnet10(**fixed, bias_downsample=False).state_dict())


def _logits(features):
    """Of two classes: a fixed direction of unit length on features of unit variance."""
    x = features.float().cpu()
    weight = torch.randn(2, x.shape[1], generator=torch.Generator().manual_seed(0))
    return (x / x.std()) @ torch.nn.functional.normalize(weight).T


@pytest.mark.parametrize("device", ["cpu", CUDA])
@torch.no_grad()
def test_bfloat16_gives_nearly_the_same_logits(small, device):
    patches = random_patches(6, (16, 16, 16), 0)
    images = torch.cat([patches.image, patches.roi], dim=1).to(device)
    network = small.to(device)
    whole = _logits(network(images))
    with torch.autocast(device, dtype=torch.bfloat16):
        lower = _logits(network(images))
    assert float((lower - whole).abs().max()) < NEAR
    assert not torch.equal(lower, whole), "autocast did nothing"


@torch.no_grad()
def test_memory_format_does_not_matter(small):
    patches = random_patches(2, (16, 16, 16), 0)
    images = torch.cat([patches.image, patches.roi], dim=1)
    last = images.contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(small(last), small(images), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("make", [Radiomics, Layout])
def test_features_without_weights_are_the_same_on_a_gpu(make):
    patches = random_patches(3, (24, 24, 24), 0)
    here, there = make()(patches), make().to("cuda")(_on_gpu(patches)).cpu()
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.no_grad()
def test_a_backbone_gives_nearly_the_same_logits_on_a_gpu(backbone):
    patches = random_patches(3, (32, 32, 32), 0)
    here = _logits(backbone(patches))
    there = _logits(backbone.to("cuda")(_on_gpu(patches)))
    backbone.to("cpu")
    assert float((there - here).abs().max()) < NEAR


def _on_gpu(patches: PatchBatch) -> PatchBatch:
    return patches.to(torch.device("cuda"))
