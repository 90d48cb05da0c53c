"""Bundles of networks that nobody trained, as MONAI would save them."""

import json

import pytest
import torch

SMALL_UNET = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8, 16],
    "strides": [2, 2],
    "norm": "batch",
}


def network_of(definition):
    """By MONAI itself, with statistics as after training."""
    from monai.networks import nets

    arguments = {k: v for k, v in definition.items() if k != "_target_"}
    torch.manual_seed(0)
    network = getattr(nets, definition["_target_"])(**arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture
def write(tmp_path):
    """A bundle folder of any configuration and state."""

    def make(config, state=None, name="Any", file="configs/inference.json"):
        folder = tmp_path / name
        for part in ("configs", "models"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        text = config if isinstance(config, str) else json.dumps(config)
        (folder / file).write_text(text)
        if state is not None:
            torch.save(state, folder / "models" / "model.pt")
        return folder

    return make


@pytest.fixture(scope="session")
def small_unet():
    """Definition, network."""
    return SMALL_UNET, network_of(SMALL_UNET)


@pytest.fixture(scope="session", name="network_of")
def _network_of():
    return network_of
