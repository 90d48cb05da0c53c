"""MONAI's 3D networks as encoders, with weights from a local file; docs/backbones.md.

Weights as MedicalNet (Chen, Ma & Zheng 2019), MONAI and the pre-training of Swin UNETR (Tang et
al., CVPR 2022) publish them load as they are: prefixes of data-parallel training, heads and
decoders are taken off. Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import MissingExtraError
from medfs.core.patches import PatchBatch
from medfs.features.weights import Given, fitting, tensors_of
from medfs.storage.files import sha256
from medfs.storage.tensors import tensors_to_bytes

Tensors = Mapping[str, Tensor]
_SWIN = "swinViT."
# Depths and heads of every published Swin UNETR; its width is read from the weights.
_SWIN_DEPTHS, _SWIN_HEADS, _SWIN_WINDOW, _SWIN_PATCH = (2, 2, 2, 2), (3, 6, 12, 24), 7, 2
_SWIN_WIDTH, _SWIN_WIDEST = 48, 192


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    Attributes:
        name: as a user calls it.
        n_features: of a case.
        build: the network that these weights are for; untrained.
        pooled: its features of images, averaged over the volume.
        heads: prefixes of parameters that lie behind the features.
        fits: what files fit, for messages.
    """

    name: str
    n_features: int
    build: Callable[[Tensors], Any]
    pooled: Callable[[Any, Tensor], Tensor]
    heads: tuple[str, ...]
    fits: str


class Backbone(torch.nn.Module):
    """A frozen network up to its global average pool: features of the image channel.

    Raises:
        IntegrityError: the weights do not fit the architecture.
    """

    def __init__(self, kind: Architecture, weights: Tensors) -> None:
        super().__init__()
        self.name, self._pooled = kind.name, kind.pooled
        given = {k: v for k, v in weights.items() if not k.startswith(kind.heads)}
        self.network = kind.build(given)
        found = fitting(kind.name, self.network.state_dict(), given, f"Give {kind.fits}")
        self.network.load_state_dict(found)
        self.identity = f"{self.name}-{sha256(tensors_to_bytes(found))[:16]}"
        # BatchNorm keeps its trained statistics: a scan's features do not depend on its neighbours.
        self.requires_grad_(False).eval()
        self.feature_names = tuple(f"{self.name}_{i}" for i in range(kind.n_features))

    def forward(self, patches: PatchBatch) -> Float[Tensor, "batch feature"]:
        return self._pooled(self.network, patches.image)


def resnet10(weights: Given) -> Backbone:
    """ResNet-10; `weights` as a file or as tensors. 512 features."""
    return _resnet("resnet10", 512, weights)


def resnet18(weights: Given) -> Backbone:
    """ResNet-18; 512 features."""
    return _resnet("resnet18", 512, weights)


def resnet34(weights: Given) -> Backbone:
    """ResNet-34; 512 features."""
    return _resnet("resnet34", 512, weights)


def resnet50(weights: Given) -> Backbone:
    """ResNet-50; 2048 features."""
    return _resnet("resnet50", 2048, weights)


def densenet121(weights: Given) -> Backbone:
    """DenseNet-121; 1024 features, after the last activation."""
    fits = "a state dict of MONAI's 3D DenseNet121 with one input channel"
    kind = Architecture(
        "densenet121", 1024, _build_densenet, _pool_densenet, ("class_layers.",), fits
    )
    return Backbone(kind, tensors_of(kind.name, weights))


def swin_unetr(weights: Given) -> Backbone:
    """The encoder of Swin UNETR; 16 × its width features (768 as published).

    Raises:
        MissingExtraError: einops is not installed.
    """
    if find_spec("einops") is None:
        raise MissingExtraError(
            "the backbone 'swin_unetr' needs einops, which is not installed",
            todo="Install it: pip install 'medfs[swin]'",
        )
    given = _swin_names(tensors_of("swin_unetr", weights))
    heads = ("norm.", "rotation_", "contrastive_", "conv.", "convTrans3d.")
    fits = "a state dict of MONAI's SwinUNETR with one input channel, or of its pre-training"
    width = 16 * _swin_width(given)
    kind = Architecture("swin_unetr", width, _build_swin, _pool_swin, heads, fits)
    return Backbone(kind, given)


def _resnet(name: str, n_features: int, weights: Given) -> Backbone:
    fits = f"a state dict of MONAI's {name} with one input channel"
    heads = ("fc.", "conv_seg.")
    kind = Architecture(name, n_features, partial(_build_resnet, name), _pool_resnet, heads, fits)
    return Backbone(kind, tensors_of(name, weights))


def _build_resnet(name: str, weights: Tensors) -> torch.nn.Module:
    """Shortcuts of type A have no parameters, those of type B have: the weights say which."""
    from monai.networks import nets

    return getattr(nets, name)(
        spatial_dims=3,
        n_input_channels=1,
        feed_forward=False,
        shortcut_type="B" if any(".downsample.0.weight" in k for k in weights) else "A",
        bias_downsample=any(".downsample.0.bias" in k for k in weights),
    )


def _pool_resnet(network: Any, image: Tensor) -> Tensor:
    return network(image)


def _build_densenet(_: Tensors) -> torch.nn.Module:
    from monai.networks.nets import DenseNet121

    network = DenseNet121(spatial_dims=3, in_channels=1, out_channels=1)
    network.class_layers = torch.nn.Identity()
    return network


def _pool_densenet(network: Any, image: Tensor) -> Tensor:
    return torch.relu(network.features(image)).mean(dim=(2, 3, 4))


def _swin_names(weights: Tensors) -> Tensors:
    """Names as MONAI has them now: of the encoder alone, and of its two linear layers."""
    if any(k.startswith(_SWIN) for k in weights):
        weights = {k.removeprefix(_SWIN): v for k, v in weights.items() if k.startswith(_SWIN)}
    return {k.replace(".mlp.fc", ".mlp.linear"): v for k, v in weights.items()}


def _swin_width(weights: Tensors) -> int:
    """Channels of the first stage; the published number where the weights do not say."""
    first = weights.get("patch_embed.proj.bias")
    readable = first is not None and first.dim() == 1 and 0 < len(first) <= _SWIN_WIDEST
    width = len(first) if readable and first is not None else _SWIN_WIDTH
    return width if width % 12 == 0 else _SWIN_WIDTH


def _build_swin(weights: Tensors) -> torch.nn.Module:
    from monai.networks.nets.swin_unetr import SwinTransformer

    return SwinTransformer(
        in_chans=1,
        embed_dim=_swin_width(weights),
        window_size=(_SWIN_WINDOW,) * 3,
        patch_size=(_SWIN_PATCH,) * 3,
        depths=_SWIN_DEPTHS,
        num_heads=_SWIN_HEADS,
    )


def _pool_swin(network: Any, image: Tensor) -> Tensor:
    return network(image)[-1].mean(dim=(2, 3, 4))
