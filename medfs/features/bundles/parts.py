"""From a network of MONAI to the part of it that makes features: what stands before its head.

Each function returns a chain of the network's own modules, which ends in one map of features.
"""

from typing import Any

import torch
from torch import Tensor


def resnet(network: Any) -> list[torch.nn.Module]:
    """Up to the average pool."""
    pool = [] if network.no_max_pool else [network.maxpool]
    layers = [network.layer1, network.layer2, network.layer3, network.layer4]
    return [network.conv1, network.bn1, network.act, *pool, *layers]


def densenet(network: Any) -> list[torch.nn.Module]:
    """Up to the activation before the average pool."""
    return [network.features, network.class_layers.relu]


def senet(network: Any) -> list[torch.nn.Module]:
    """Up to the average pool."""
    return [network.layer0, network.layer1, network.layer2, network.layer3, network.layer4]


def unet(network: Any) -> list[torch.nn.Module]:
    """Down to the lowest level; levels are nested in each other's skip connections."""
    from monai.networks.layers.simplelayers import SkipConnection

    chain, level = [], network.model
    while len(level) > 1 and isinstance(level[1], SkipConnection):
        chain.append(level[0])
        level = level[1].submodule
        if not isinstance(level, torch.nn.Sequential):
            break
    return [*chain, level]


def basic_unet(network: Any) -> list[torch.nn.Module]:
    """Down to the lowest level."""
    return [network.conv_0, network.down_1, network.down_2, network.down_3, network.down_4]


def dynunet(network: Any) -> list[torch.nn.Module]:
    """Down to the bottleneck."""
    return [network.input_block, *network.downsamples, network.bottleneck]


def segresnet(network: Any) -> list[torch.nn.Module]:
    """Down to the lowest level."""
    return [network.convInit, *network.down_layers]


def segresnet_ds(network: Any) -> list[torch.nn.Module]:
    """The encoder, of whose levels the lowest counts."""
    return [_Lowest(network.encoder)]


def vnet(network: Any) -> list[torch.nn.Module]:
    """Down to the lowest level."""
    down = [network.down_tr32, network.down_tr64, network.down_tr128, network.down_tr256]
    return [network.in_tr, *down]


def swin_unetr(network: Any) -> list[torch.nn.Module]:
    """The transformer, of whose stages the last counts."""
    return [_Lowest(network.swinViT, network.normalize)]


class _Lowest(torch.nn.Module):
    """The last of several maps."""

    def __init__(self, inner: torch.nn.Module, *more: Any) -> None:
        super().__init__()
        self.inner, self._more = inner, more

    def forward(self, image: Tensor) -> Tensor:
        return self.inner(image, *self._more)[-1]
