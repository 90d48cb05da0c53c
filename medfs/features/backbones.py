"""MONAI's 3D ResNets as encoders, with weights from a local file.

Weights that MedicalNet (Chen, Ma & Zheng 2019) and MONAI publish load as they are: prefixes of
data-parallel training and classification layers are taken off. Nothing is downloaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import IntegrityError, ScanReadError, UsageError
from medfs.core.patches import PatchBatch
from medfs.storage.files import sha256
from medfs.storage.tensors import tensors_from_bytes, tensors_to_bytes


@dataclass(frozen=True)
class _Depth:
    """Constructor arguments under which MedicalNet's weights of one depth load."""

    factory: str
    shortcut_type: str


_DEPTHS = {10: _Depth("resnet10", "B"), 18: _Depth("resnet18", "A")}


class ResNetEncoder(torch.nn.Module):
    """A 3D ResNet up to its global average pool: 512 features of the image channel.

    Args:
        depth: 10 or 18.
        weights: parameters by name.

    Raises:
        IntegrityError: the weights do not fit the architecture.
    """

    def __init__(self, depth: int, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        from monai.networks import nets

        known = _DEPTHS[depth]
        self.name = known.factory
        self.network = getattr(nets, known.factory)(
            spatial_dims=3,
            n_input_channels=1,
            feed_forward=False,
            shortcut_type=known.shortcut_type,
            bias_downsample=False,
        )
        self._load(weights)
        self.feature_names = tuple(f"{self.name}_{i}" for i in range(512))
        # BatchNorm keeps its trained statistics: a scan's features do not depend on its neighbours.
        self.requires_grad_(False).eval()

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        wanted = self.network.state_dict()
        found = {k: v for k, v in weights.items() if not k.startswith(("fc.", "conv_seg."))}
        wrong = [k for k in wanted if k not in found or found[k].shape != wanted[k].shape]
        wrong += [k for k in found if k not in wanted]
        if wrong:
            raise IntegrityError(
                f"the weights do not fit {self.name}",
                why=f"{len(wrong)} parameters are missing, unknown or of another shape, "
                f"e.g. {wrong[0]!r}",
                todo=f"Give a state dict of MONAI's {self.name} with one input channel",
            )
        self.network.load_state_dict(found)
        self.identity = f"{self.name}-{sha256(tensors_to_bytes(found))[:16]}"

    def forward(self, patches: PatchBatch) -> Float[Tensor, "batch 512"]:
        return self.network(patches.image)


def resnet10(weights: Path | Mapping[str, Tensor] | None) -> ResNetEncoder:
    """ResNet-10; `weights` as a file or as tensors."""
    return ResNetEncoder(10, _tensors("resnet10", weights))


def resnet18(weights: Path | Mapping[str, Tensor] | None) -> ResNetEncoder:
    """ResNet-18; `weights` as a file or as tensors."""
    return ResNetEncoder(18, _tensors("resnet18", weights))


def _tensors(name: str, weights: Path | Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
    if weights is None:
        raise UsageError(
            f"the backbone {name!r} needs weights",
            why="An untrained network has no features worth reading, and nothing is downloaded",
            todo=f"Give a local file: --weights {name}=FILE (.safetensors, .pt or .pth)",
        )
    if not isinstance(weights, Path):
        return {k.removeprefix("network."): v for k, v in weights.items()}
    return {k.removeprefix("module."): v for k, v in read_weights(weights).items()}


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Tensors of a .safetensors file or a plain state dict; never code.

    Raises:
        ScanReadError: the file cannot be read.
        IntegrityError: it holds anything but tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return tensors_from_bytes(path.read_bytes(), str(path))
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ScanReadError("cannot be read", case=str(path), why=error.strerror) from error
    except IntegrityError:
        raise
    except Exception as error:  # an unpickler that meets damaged bytes may raise anything
        raise _not_weights(path) from error
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise _not_weights(path)
    return content


def _not_weights(path: Path) -> IntegrityError:
    return IntegrityError(
        "is not a plain state dict",
        case=str(path),
        why="Only tensors are loaded, never code",
        todo="Save it again with torch.save(model.state_dict(), …) or as safetensors",
    )
