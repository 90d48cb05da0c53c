"""MONAI's ResNets with weights that the tests make; files that are not weights are refused."""

import io
import os
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from medfs.core.errors import IntegrityError, ScanReadError, UsageError
from medfs.core.patches import PatchBatch
from medfs.features.backbones import resnet10, resnet18
from medfs.features.encode import encode
from medfs.testing import check_encoder
from medfs.testing.samples import random_patches

SHAPE = (16, 16, 16)


def _network(seed=0, **options):
    from monai.networks.nets import resnet10 as factory

    torch.manual_seed(seed)
    net = factory(
        spatial_dims=3,
        n_input_channels=1,
        shortcut_type="B",
        bias_downsample=False,
        **{"feed_forward": False} | options,
    )
    for module in net.modules():  # statistics as after training, not 0 and 1
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


@pytest.fixture(scope="module")
def network():
    return _network()


@pytest.fixture(scope="module")
def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def encoder(weights):
    return resnet10(weights)


def test_it_keeps_the_laws_of_encoders(encoder):
    check_encoder(encoder, SHAPE)


def test_features_are_those_of_monais_own_forward(network, encoder):
    batch = random_patches(2, SHAPE, 0)
    with torch.inference_mode():
        assert torch.equal(encoder(batch), network(batch.image))


def test_the_region_is_not_read(encoder):
    batch = random_patches(1, SHAPE, 0)
    other = PatchBatch(batch.image, 1 - batch.roi, 2 * batch.spacing)
    assert torch.equal(encoder(batch), encoder(other))


def test_resnet18_takes_the_weights_of_its_own_architecture():
    from monai.networks.nets import resnet18 as factory

    options = {"shortcut_type": "A", "bias_downsample": False, "feed_forward": False}
    net = factory(spatial_dims=3, n_input_channels=1, **options).eval()
    batch = random_patches(1, SHAPE, 0)
    with torch.inference_mode():
        assert torch.equal(resnet18(net.state_dict())(batch), net(batch.image))


@pytest.mark.parametrize("form", ["safetensors", "pt", "pth", "nested", "module", "fc", "network"])
def test_every_published_form_of_the_same_weights_gives_the_same_encoder(
    tmp_path, weights, encoder, form
):
    path = tmp_path / (
        "w.safetensors" if form == "safetensors" else f"w.{'pth' if form == 'pth' else 'pt'}"
    )
    if form == "safetensors":
        save_file(weights, path)
    elif form in ("pt", "pth"):
        torch.save(weights, path)
    elif form == "nested":
        torch.save({"state_dict": weights, "epoch": 3}, path)
    elif form == "module":
        torch.save({"state_dict": {f"module.{k}": v for k, v in weights.items()}}, path)
    elif form == "fc":
        extra = {"fc.weight": torch.ones(2, 512), "conv_seg.0.weight": torch.ones(1)}
        torch.save(weights | extra, path)
    given = path if form != "network" else {f"network.{k}": v for k, v in weights.items()}
    assert resnet10(given).identity == encoder.identity


def test_weights_of_a_net_with_a_classification_layer_fit(weights):
    whole = _network(feed_forward=True, num_classes=3).state_dict()
    bare = {name: tensor for name, tensor in whole.items() if not name.startswith("fc.")}
    assert len(bare) == len(whole) - 2
    assert resnet10(whole).identity == resnet10(bare).identity


def test_the_state_of_an_encoder_builds_the_same_encoder_again(encoder):
    assert resnet10(encoder.state_dict()).identity == encoder.identity


def test_the_identity_follows_the_weights(weights, encoder):
    changed = {**weights, "bn1.weight": weights["bn1.weight"] + 1e-3}
    assert resnet10(changed).identity != encoder.identity
    assert resnet10(dict(reversed(weights.items()))).identity == encoder.identity


def test_changing_the_given_tensors_later_changes_nothing(weights):
    mine = {name: tensor.clone() for name, tensor in weights.items()}
    encoder, batch = resnet10(mine), random_patches(1, SHAPE, 0)
    before = encoder(batch)
    mine["conv1.weight"].zero_()
    assert torch.equal(before, encoder(batch))


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_weights_of_another_architecture_are_refused(weights, change):
    wrong = dict(weights)
    if change == "missing":
        del wrong["bn1.running_mean"]
    elif change == "unknown":
        wrong["layer9.weight"] = torch.ones(1)
    else:
        wrong["conv1.weight"] = torch.ones(64, 3, 7, 7, 7)
    with pytest.raises(IntegrityError, match="resnet10"):
        resnet10(wrong)


def test_without_weights_there_is_no_backbone():
    with pytest.raises(UsageError, match="needs weights"):
        resnet10(None)


class _Code:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_pickle_with_code_is_refused_and_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": _Code()}, tmp_path / "evil.pt")
    with pytest.raises(IntegrityError):
        resnet10(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content", [[torch.ones(1)], {"a": 1}, {1: torch.ones(1)}, {"state_dict": 3}, torch.ones(2)]
)
def test_a_file_that_is_not_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(IntegrityError):
        resnet10(tmp_path / "w.pt")


def test_a_missing_file_is_named(tmp_path):
    for name in ("none.pt", "none.safetensors"):
        with pytest.raises(ScanReadError, match=name):
            resnet10(tmp_path / name)


def _saved():
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.arange(6.0)}, buffer)
    return buffer.getvalue()


@given(
    cut=st.one_of(st.none(), st.integers(0, 900)),
    edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
)
def test_a_damaged_file_is_refused_with_words(tmp_path_factory, cut, edits):
    content = bytearray(_saved()[:cut])
    for at, value in edits:
        if content:
            content[at % len(content)] = value
    for suffix in ("pt", "safetensors"):
        path = tmp_path_factory.mktemp("damaged") / f"w.{suffix}"
        path.write_bytes(content)
        with pytest.raises(IntegrityError):
            resnet10(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x02.", b"hello", b"\x80\x02K\x01."])
def test_short_files_are_refused(tmp_path, content):
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(IntegrityError):
        resnet10(tmp_path / "w.pt")


def test_an_empty_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w"):
        pass
    with pytest.raises(IntegrityError):
        resnet10(tmp_path / "w.pt")


def test_features_that_are_not_finite_are_an_error(weights):
    broken = {**weights, "bn1.running_var": torch.full_like(weights["bn1.running_var"], torch.nan)}
    from medfs.core.patches import Patch

    batch = random_patches(1, SHAPE, 0)
    patch = Patch(batch.image[0], batch.roi[0], batch.spacing[0], "any")
    with pytest.raises(FloatingPointError, match="resnet10_0"):
        encode([resnet10(broken)], patch, torch.device("cpu"))
