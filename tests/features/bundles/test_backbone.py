"""Features of a bundle's network are what the network itself makes before its head."""

import inspect
import json

import pytest
import torch
from safetensors.torch import save_file

from medfs.core.errors import DataError, IntegrityError, ScanReadError, UsageError
from medfs.features.bundles.backbone import bundle
from medfs.features.bundles.kinds import KINDS
from medfs.testing import check_encoder
from medfs.testing.samples import random_patches

SHAPE = (32, 32, 32)
IN_OUT = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
LEVELS = {
    "kernel_size": [3, [3, 3, 3], 3],
    "strides": [1, [2, 2, 2], 2],
    "upsample_kernel_size": [2, 2],
    "filters": [4, 8, 16],
}
NARROW = {"block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [4, 8, 16, 32]}
LAYERS = {"layers": [1, 1, 1, 1], "num_classes": 3}
# Network, arguments, the module whose input (classifiers) or output (others) is pooled.
READS, GIVES = "reads", "gives"
NETWORKS = {
    "resnet": ("ResNet", NARROW | {"n_input_channels": 1, "num_classes": 3}, (READS, "avgpool")),
    "resnet-flat": (
        "ResNet",
        NARROW | {"n_input_channels": 1, "no_max_pool": True, "shortcut_type": "A"},
        (READS, "avgpool"),
    ),
    "resnet10": ("resnet10", {"n_input_channels": 1, "num_classes": 3}, (READS, "avgpool")),
    "densenet": (
        "DenseNet",
        IN_OUT | {"block_config": [2, 2], "init_features": 8, "growth_rate": 4},
        (READS, "class_layers.pool"),
    ),
    "senet": (
        "SEResNet50",
        {"spatial_dims": 3, "in_channels": 1} | LAYERS,
        (READS, "adaptive_avg_pool"),
    ),
    "unet": (
        "UNet",
        IN_OUT | {"channels": [4, 8, 16], "strides": [2, 2]},
        (GIVES, "model.1.submodule.1.submodule"),
    ),
    "unet-residual": (
        "UNet",
        IN_OUT | {"channels": [4, 8], "strides": [2], "num_res_units": 2, "norm": "batch"},
        (GIVES, "model.1.submodule"),
    ),
    "basic-unet": ("BasicUNet", {"features": [4, 4, 8, 8, 16, 4]}, (GIVES, "down_4")),
    "dynunet": (
        "DynUNet",
        IN_OUT | LEVELS | {"deep_supervision": True, "norm_name": ["INSTANCE", {"affine": True}]},
        (GIVES, "bottleneck"),
    ),
    "segresnet": ("SegResNet", {"init_filters": 8}, (GIVES, "down_layers.3")),
    "segresnet-ds": ("SegResNetDS", {"init_filters": 8, "norm": "instance"}, (GIVES, "encoder")),
    "vnet": ("VNet", {"out_channels": 2}, (GIVES, "down_tr256")),
    "swin": (
        "SwinUNETR",
        {"in_channels": 1, "out_channels": 2, "feature_size": 12, "norm_name": "batch"},
        (GIVES, "swinViT"),
    ),
}


def _while_running(network, where, image):
    """The map at a place, from a whole run of the network."""
    way, path = where
    seen = []

    def look(_, read, gave):
        found = read[0] if way == READS else gave
        seen.append((found[-1] if isinstance(found, list | tuple) else found).clone())

    network.get_submodule(path).register_forward_hook(look)
    with torch.inference_mode():
        network(image)
    return seen[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_what_the_network_makes_before_its_head(name, write, network_of):
    target, arguments, where = NETWORKS[name]
    definition = {"_target_": target, **arguments}
    network = network_of(definition)
    encoder = bundle(write({"network_def": definition}, network.state_dict()))
    batch = random_patches(2, SHAPE, 0)
    wanted = _while_running(network, where, batch.image)
    pooled = [wanted.mean(dim=(2, 3, 4))]
    if where[0] == GIVES and target != "SwinUNETR":
        pooled.append(wanted.amax(dim=(2, 3, 4)))
    with torch.inference_mode():
        torch.testing.assert_close(encoder(batch), torch.cat(pooled, dim=1), rtol=1e-4, atol=1e-5)
    again = bundle(encoder.state_dict())
    assert again.identity == encoder.identity
    with torch.inference_mode():
        assert torch.equal(again(batch), encoder(batch))


def _accepted(factory):
    """Names of arguments; factories that hand others on take those of the class behind them."""
    from monai.networks import nets

    names = set(inspect.signature(factory).parameters)
    if "kwargs" in names:
        classes = {"r": nets.ResNet, "D": nets.DenseNet, "S": nets.SENet}
        names |= set(inspect.signature(classes[factory.__name__[0]]).parameters)
    return names


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_monai_has_every_network_with_these_arguments(kind):
    from monai.networks import nets

    # What old bundles still say; it is left out before anything is built.
    accepted = _accepted(getattr(nets, kind.name)) | {"img_size", "pretrained", "progress"}
    assert kind.arguments <= accepted
    assert kind.channels in kind.arguments


def test_it_keeps_the_laws_of_encoders(write, small_unet):
    definition, network = small_unet
    check_encoder(bundle(write({"network_def": definition}, network.state_dict())), SHAPE)


def test_references_stand_for_plain_values_of_the_file(write, small_unet):
    definition, network = small_unet
    state = network.state_dict()
    plain = bundle(write({"network_def": definition}, state))
    config = {
        "network_def": {
            **definition,
            "_target_": "monai.networks.nets.unet.UNet",
            "_desc_": "of the bundle",
            "channels": "@widths",
            "out_channels": "@labels::count",
            "strides": ["@steps#0", "@again"],
        },
        "widths": [4, "@eight", 16],
        "eight": 8,
        "labels": {"count": 2},
        "steps": [2],
        "again": "@steps#0",
        # What surrounds the network is not read, whatever it is.
        "network": "$@network_def.to(@device)",
        "evaluator": {"_target_": "os.system", "command": "touch executed"},
    }
    assert bundle(write(config, state, "Other")).identity == plain.identity


def test_training_configurations_serve_where_there_is_no_other(write, small_unet):
    definition, network = small_unet
    config = {"network_def": definition}
    encoder = bundle(write(config, network.state_dict(), file="configs/train.json"))
    assert encoder.identity == bundle(write(config, network.state_dict())).identity


@pytest.mark.parametrize("form", ["safetensors", "model", "state_dict", "module", "half"])
def test_every_form_of_saved_weights_is_read(write, small_unet, form):
    definition, network = small_unet
    state = network.state_dict()
    wanted = bundle(write({"network_def": definition}, state)).identity
    if form in ("model", "state_dict"):
        state = {form: state, "epoch": 3}
    elif form == "module":
        state = {f"module.{k}": v for k, v in state.items()}
    folder = write({"network_def": definition}, state, "Other")
    if form == "safetensors":
        (folder / "models" / "model.pt").unlink()
        save_file(
            {k: v.contiguous() for k, v in state.items()}, folder / "models" / "model.safetensors"
        )
    elif form == "half":
        torch.save(
            {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
            folder / "models" / "model.pt",
        )
        assert bundle(folder).identity != wanted
        return
    assert bundle(folder).identity == wanted


def test_the_identity_follows_weights_and_definition(write, small_unet, network_of):
    definition, network = small_unet
    state = network.state_dict()
    first = bundle(write({"network_def": definition}, state))
    changed = {**state, "model.0.conv.weight": state["model.0.conv.weight"] + 1e-3}
    other = {**definition, "act": "relu", "norm": "batch"}
    relu = network_of(other).state_dict()
    found = {
        first.identity,
        bundle(write({"network_def": definition}, changed, "B")).identity,
        bundle(write({"network_def": other}, relu, "C")).identity,
    }
    assert len(found) == 3


def test_building_leaves_random_numbers_alone(write, small_unet):
    definition, network = small_unet
    folder = write({"network_def": definition}, network.state_dict())
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    bundle(folder)
    assert torch.equal(torch.rand(3), wanted)


def test_a_patch_that_the_network_cannot_read_is_told(write, network_of):
    levels = [3] * 6
    definition = {"_target_": "DynUNet", **IN_OUT, "kernel_size": levels, "filters": [4] * 6}
    definition |= {"strides": [1, 2, 2, 2, 2, 2], "upsample_kernel_size": [2] * 5}
    encoder = bundle(write({"network_def": definition}, network_of(definition).state_dict()))
    with pytest.raises(DataError, match=r"cannot read a patch of 16 × 16 × 16 points.*--preset"):
        encoder(random_patches(1, (16, 16, 16), 0))


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "empty"])
def test_weights_of_another_network_are_refused(write, small_unet, change):
    definition, network = small_unet
    state = dict(network.state_dict())
    if change == "missing":
        del state["model.0.conv.weight"]
    elif change == "unknown":
        state["model.9.weight"] = torch.ones(1)
    elif change == "shape":
        state["model.0.conv.weight"] = torch.ones(4, 2, 3, 3, 3)
    else:
        state = {}
    with pytest.raises(IntegrityError, match=r"do not fit UNet.*inference\.json"):
        bundle(write({"network_def": definition}, state))


def test_what_is_missing_is_named(write, small_unet, tmp_path):
    definition, _ = small_unet
    with pytest.raises(UsageError, match="--weights bundle=FOLDER"):
        bundle(None)
    with pytest.raises(ScanReadError, match=r"no MONAI bundle.*configs/inference\.json"):
        bundle(tmp_path / "nowhere")
    with pytest.raises(ScanReadError, match=r"no weights.*models/model\.pt"):
        bundle(write({"network_def": definition}))
    with pytest.raises(IntegrityError, match="there is no network_def here"):
        bundle(write({"net": definition}))
    (tmp_path / "b.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match="is a file, and a bundle is a folder"):
        bundle(tmp_path / "b.zip")


def test_the_definition_that_is_kept_is_plain_json(write, small_unet):
    definition, network = small_unet
    given = {**definition, "channels": "@c"}
    folder = write({"network_def": given, "c": [4, 8, 16]}, network.state_dict())
    kept = bytes(bundle(folder).state_dict()["definition"].tolist())
    assert json.loads(kept) == definition
