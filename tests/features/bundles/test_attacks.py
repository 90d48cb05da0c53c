"""A bundle is read, never run: whatever else it asks for is refused in words."""

import json
import os

import pytest
import torch

from medfs.core.errors import IntegrityError
from medfs.features.bundles.backbone import bundle

NESTED = {"_target_": "os.system", "command": "touch executed"}
CASES = {
    "foreign target": ({"_target_": "os.system"}, "'os.system' is no network that medfs knows"),
    "module of another": ({"_target_": "evil.nets.UNet"}, "is no network that medfs knows"),
    "network of torchvision": ({"_target_": "TorchVisionFCModel"}, "is no network"),
    "computed target": ({"_target_": "$print"}, "is no network"),
    "target by reference": ({"_target_": "@name"}, "is no network"),
    "no target": ({"_target_": None}, "has no _target_"),
    "expression": ({"channels": "$[4, 8, 16]"}, "channels is not read.*is an expression"),
    "expression inside": ({"norm": ["group", {"num_groups": "$2+2"}]}, "norm#1#num_groups"),
    "expression behind a reference": ({"out_channels": "@computed"}, "is an expression"),
    "macro": ({"channels": "%other.json#channels"}, "reads another file"),
    "nested target": ({"act": NESTED}, "'_target_' in a value"),
    "nested target in a list": ({"norm": ["batch", NESTED]}, "'_target_' in a value"),
    "reference to an object": ({"act": "@evil"}, "'_target_' in a value"),
    "reference to nothing": ({"channels": "@nowhere"}, "stands for nothing in this file"),
    "reference to itself": ({"channels": "@network_def#channels"}, "reference to reference"),
    "circle": ({"channels": "@a"}, "reference to reference"),
    "disabled": ({"_disabled_": True}, "'?_disabled_'? is not read"),
    "requires": ({"_requires_": "$import os"}, "_requires_ is not read"),
    "mode": ({"_mode_": "callable"}, "_mode_ is not read"),
    "unknown argument": ({"hook": "print"}, "hook is not read.*UNet takes act"),
    "dotted text": ({"act": "os.system"}, "is no name of a part of a network"),
    "path": ({"act": "../../etc/passwd"}, "is no name of a part of a network"),
    "unknown activation": ({"act": "nonsense"}, "MONAI cannot build the UNet"),
    "huge number": ({"channels": [4, 8, 10**9]}, "No network needs the number"),
    "huge network": ({"channels": [4096, 4096, 4096]}, "It would have"),
    "many blocks": ({"num_res_units": 4000}, "more than 200 blocks"),
    "too long": ({"channels": [4] * 1000}, "too long"),
    "too deep": ({"channels": [[[[4]]]]}, "nested too deeply"),
    "two dimensions": ({"spatial_dims": 2}, "scans have 3"),
    "channels": ({"in_channels": 4}, "in_channels is 4.*one channel"),
    "true is no number": ({"in_channels": True}, "in_channels is True"),
}


@pytest.fixture(autouse=True)
def _never_monais_parser(monkeypatch, tmp_path):
    """Whoever calls MONAI's parser fails; whatever runs would leave a file here."""
    from monai.bundle import ConfigParser

    def refuse(*_, **__):
        raise AssertionError("MONAI's parser was used")

    monkeypatch.setattr(ConfigParser, "__init__", refuse)
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_the_file_and_the_reason(write, small_unet, case):
    change, told = CASES[case]
    definition, network = small_unet
    config = {"network_def": {**definition, **change}, "evil": NESTED, "name": "UNet"}
    config |= {"computed": "$1+1", "a": "@b", "b": "@a"}
    with pytest.raises(IntegrityError, match=told) as error:
        bundle(write(config, network.state_dict()))
    assert "inference.json" in str(error.value)


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_held_to_the_same(small_unet, write, case):
    definition, network = small_unet
    kept = dict(bundle(write({"network_def": definition}, network.state_dict())).state_dict())
    forged = json.dumps({**definition, **CASES[case][0]}).encode()
    kept["definition"] = torch.tensor(list(forged), dtype=torch.uint8)
    with pytest.raises(IntegrityError):
        bundle(kept)


@pytest.mark.parametrize(
    ("pretrained", "told"),
    [(True, "other weights than the bundle's"), ("/etc/hostname", "no name of a part")],
)
def test_no_other_weights_are_loaded(write, pretrained, told):
    definition = {"_target_": "resnet10", "n_input_channels": 1, "pretrained": pretrained}
    with pytest.raises(IntegrityError, match=told):
        bundle(write({"network_def": definition}, {}))


@pytest.mark.parametrize(
    "change",
    [{"feature_size": 960}, {"depths": [2, 2, 2, 300]}, {"depths": [2] * 20}, {"mlp_ratio": 900}],
)
def test_a_transformer_is_measured_before_it_is_built(write, change):
    definition = {"_target_": "SwinUNETR", "in_channels": 1, "out_channels": 2, **change}
    with pytest.raises(IntegrityError, match=f"network_def(#{next(iter(change))})? is not read"):
        bundle(write({"network_def": definition}, {}))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"network_def": {}, "network_def": {"_target_": "UNet"}}', "given twice"),
        ('{"network_def": {"_target_": "UNet", "dropout": NaN}}', "NaN is no JSON number"),
        ('{"network_def": {"_target_": "UNet", "dropout": 1e999}}', "No network needs"),
        ('{"network_def": "$UNet()"}', "must be an object"),
        ('{"network_def": ["UNet"]}', "must be an object"),
        ("[]", "must hold an object"),
        ("[" * 100_000, "is no configuration"),
        ("{", "is no configuration"),
        (" " * (2 << 20), "larger than any configuration"),
    ],
)
def test_files_that_are_no_configuration_are_refused(write, text, told):
    with pytest.raises(IntegrityError, match=told):
        bundle(write(text, {}))


class _Code:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_checkpoint_with_code_is_refused_and_not_executed(write, small_unet):
    definition, _ = small_unet
    with pytest.raises(IntegrityError, match="not a plain state dict"):
        bundle(write({"network_def": definition}, {"model.0.conv.weight": _Code()}))


@pytest.mark.parametrize("kept", [None, torch.zeros(0, dtype=torch.uint8), torch.ones(8)])
def test_a_model_without_a_definition_is_refused(small_unet, write, kept):
    definition, network = small_unet
    state = dict(bundle(write({"network_def": definition}, network.state_dict())).state_dict())
    del state["definition"]
    given = state if kept is None else {**state, "definition": kept}
    with pytest.raises(IntegrityError, match="no definition"):
        bundle(given)
