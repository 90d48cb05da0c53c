"""The networks that a bundle may name: what each may be given, and where its features stand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from medfs.features.bundles import parts


@dataclass(frozen=True)
class Kind:
    """One network that medfs knows.

    Attributes:
        name: in `monai.networks.nets`.
        arguments: that a definition may give.
        chain: the modules up to the map of features.
        with_maximum: features are mean and maximum of that map, not its mean alone. Networks for
            segmentation often end in a normalisation of each case, which evens out the means.
        channels: name of the argument that tells input channels.
        default: of that argument.
        limits: highest numbers in some arguments, where memory cannot be foreseen otherwise.
        lengths: of some arguments, for the same reason.
    """

    name: str
    arguments: frozenset[str]
    chain: Callable[[Any], list[torch.nn.Module]]
    with_maximum: bool = True
    channels: str = "in_channels"
    default: int | None = None
    limits: Mapping[str, int] | None = None
    lengths: Mapping[str, int] = field(default_factory=dict)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IN_OUT = "spatial_dims in_channels out_channels "
_RESNET = Kind(
    "ResNet",
    _names(
        "spatial_dims n_input_channels conv1_t_size conv1_t_stride no_max_pool shortcut_type "
        "widen_factor num_classes feed_forward bias_downsample act norm pretrained progress"
    ),
    parts.resnet,
    with_maximum=False,
    channels="n_input_channels",
)
_DENSENET = Kind(
    "DenseNet",
    _names(
        _IN_OUT
        + "init_features growth_rate block_config bn_size act norm dropout_prob pretrained progress"
    ),
    parts.densenet,
    with_maximum=False,
)
_SENET = Kind(
    "SENet",
    _names(
        "spatial_dims in_channels num_classes layers groups reduction dropout_prob dropout_dim "
        "inplanes downsample_kernel_size input_3x3 pretrained progress"
    ),
    parts.senet,
    with_maximum=False,
)
_UNET = "channels strides kernel_size up_kernel_size num_res_units act norm dropout bias "
_DYNUNET = (
    "kernel_size strides upsample_kernel_size filters dropout norm_name act_name "
    "deep_supervision deep_supr_num res_block trans_bias"
)
_SEGRESNET = "init_filters act norm blocks_down blocks_up upsample_mode "
_SWIN = (
    "patch_size depths num_heads window_size qkv_bias mlp_ratio feature_size norm_name drop_rate "
    "attn_drop_rate dropout_path_rate normalize patch_norm use_checkpoint downsample use_v2 "
    "img_size"
)
KINDS = (
    replace(_RESNET, arguments=_RESNET.arguments | _names("block layers block_inplanes")),
    *(replace(_RESNET, name=f"resnet{n}") for n in (10, 18, 34, 50, 101, 152, 200)),
    _DENSENET,
    *(replace(_DENSENET, name=f"DenseNet{n}") for n in (121, 169, 201, 264)),
    *(replace(_SENET, name=f"SEResNet{n}") for n in (50, 101, 152)),
    *(replace(_SENET, name=f"SEResNext{n}") for n in (50, 101)),
    replace(_SENET, name="SENet154"),
    Kind("UNet", _names(_IN_OUT + _UNET + "adn_ordering"), parts.unet),
    Kind(
        "BasicUNet",
        _names(_IN_OUT + "features act norm bias dropout upsample"),
        parts.basic_unet,
        default=1,
    ),
    Kind("DynUNet", _names(_IN_OUT + _DYNUNET), parts.dynunet),
    Kind(
        "SegResNet",
        _names(_IN_OUT + _SEGRESNET + "dropout_prob norm_name num_groups use_conv_final"),
        parts.segresnet,
        default=1,
    ),
    Kind(
        "SegResNetDS",
        _names(_IN_OUT + _SEGRESNET + "dsdepth resolution"),
        parts.segresnet_ds,
        default=1,
    ),
    Kind(
        "VNet",
        _names(_IN_OUT + "act dropout_prob dropout_prob_down dropout_prob_up dropout_dim bias"),
        parts.vnet,
        default=1,
    ),
    Kind(
        "SwinUNETR",
        _names(_IN_OUT + _SWIN),
        parts.swin_unetr,
        with_maximum=False,
        # Its constructor computes, so that it cannot be measured before it is built.
        limits={"feature_size": 96, "depths": 16, "window_size": 16, "mlp_ratio": 8},
        lengths={"depths": 4, "num_heads": 4},
    ),
)
