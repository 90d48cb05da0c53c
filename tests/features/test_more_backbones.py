"""Deeper ResNets, DenseNet-121 and Swin UNETR's encoder, with weights that the tests make."""

import pytest
import torch

from medfs.core.errors import IntegrityError, MissingExtraError
from medfs.features import backbones
from medfs.features.backbones import densenet121, resnet10, resnet34, resnet50, swin_unetr
from medfs.testing import check_encoder
from medfs.testing.samples import random_patches

SHAPE = (16, 16, 16)
ENCODERS = {
    "resnet34": (resnet34, {"shortcut_type": "A"}),
    "resnet50": (resnet50, {"shortcut_type": "B"}),
}


def _resnet(name, **options):
    from monai.networks import nets

    torch.manual_seed(0)
    fixed = {"spatial_dims": 3, "n_input_channels": 1, "feed_forward": False}
    return getattr(nets, name)(**fixed, **{"bias_downsample": False} | options).eval()


def _agrees(encoder, expected, batch):
    with torch.inference_mode():
        assert torch.equal(encoder(batch), expected)
    assert expected.shape[1] == len(encoder.feature_names)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_deeper_resnets_give_monais_own_features(name):
    factory, options = ENCODERS[name]
    net, batch = _resnet(name, **options), random_patches(2, SHAPE, 0)
    encoder = factory(net.state_dict())
    with torch.inference_mode():
        _agrees(encoder, net(batch.image), batch)


@pytest.mark.parametrize(("shortcut", "bias"), [("A", False), ("B", False), ("B", True)])
def test_the_weights_say_which_shortcuts_they_have(shortcut, bias):
    net = _resnet("resnet10", shortcut_type=shortcut, bias_downsample=bias)
    batch = random_patches(1, SHAPE, 0)
    with torch.inference_mode():
        _agrees(resnet10(net.state_dict()), net(batch.image), batch)


def test_counters_may_be_missing():
    state = _resnet("resnet10", shortcut_type="B").state_dict()
    bare = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(bare) < len(state)
    assert resnet10(bare).identity == resnet10(state).identity


@pytest.fixture(scope="module")
def dense():
    from monai.networks.nets import DenseNet121

    torch.manual_seed(0)
    return DenseNet121(spatial_dims=3, in_channels=1, out_channels=3).eval()


@pytest.mark.slow
def test_densenet_gives_what_its_classification_layer_reads(dense):
    batch = random_patches(2, (32, 32, 32), 0)
    encoder = densenet121(dense.state_dict())
    with torch.inference_mode():
        read = dense.class_layers[:-1](dense.features(batch.image))
        torch.testing.assert_close(encoder(batch), read)
    assert len(encoder.feature_names) == 1024
    assert densenet121(encoder.state_dict()).identity == encoder.identity
    check_encoder(encoder, (32, 32, 32))


@pytest.fixture(scope="module")
def swin():
    from monai.networks.nets import SwinUNETR

    torch.manual_seed(0)
    return SwinUNETR(in_channels=1, out_channels=2, feature_size=12, use_v2=False).eval()


def test_swin_unetr_gives_the_pooled_bottleneck(swin):
    batch = random_patches(2, (32, 32, 32), 0)
    encoder = swin_unetr(swin.state_dict())
    with torch.inference_mode():
        _agrees(encoder, swin.swinViT(batch.image)[-1].mean(dim=(2, 3, 4)), batch)
    assert len(encoder.feature_names) == 16 * 12


def test_swin_unetr_keeps_the_laws_of_encoders(swin):
    check_encoder(swin_unetr(swin.state_dict()), (32, 32, 32))


@pytest.mark.parametrize("form", ["whole", "pre-training", "bare", "saved"])
def test_every_published_form_of_swin_weights_gives_the_same_encoder(swin, tmp_path, form):
    whole = swin.state_dict()
    encoder = swin_unetr(whole)
    inner = {k.removeprefix("swinViT."): v for k, v in whole.items() if k.startswith("swinViT.")}
    if form == "whole":
        state = {f"module.{k}": v for k, v in whole.items()}
    elif form == "pre-training":
        older = {k.replace(".mlp.linear", ".mlp.fc"): v for k, v in inner.items()}
        extra = {"rotation_head.weight": torch.ones(4, 8), "norm.weight": torch.ones(8)}
        state = {f"module.{k}": v for k, v in (older | extra).items()}
    elif form == "bare":
        state = {k: v for k, v in inner.items() if not k.endswith("relative_position_index")}
    else:
        state = inner
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "w.pt")
    given = encoder.state_dict() if form == "saved" else tmp_path / "w.pt"
    assert swin_unetr(given).identity == encoder.identity


def test_swin_weights_with_other_channels_are_refused_with_shapes(swin):
    wrong = dict(swin.state_dict())
    wrong["swinViT.patch_embed.proj.weight"] = torch.ones(12, 4, 2, 2, 2)
    with pytest.raises(IntegrityError, match="12 × 1 × 2 × 2 × 2, found 12 × 4 × 2 × 2 × 2"):
        swin_unetr(wrong)
    with pytest.raises(IntegrityError, match="one input channel"):
        swin_unetr({"patch_embed.proj.bias": torch.ones(5)})


def test_without_einops_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(backbones, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medfs\[swin\]'"):
        swin_unetr(None)
