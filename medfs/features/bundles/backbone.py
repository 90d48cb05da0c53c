"""The network of a local MONAI bundle as an encoder; docs/backbones.md."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import DataError, IntegrityError, ScanReadError, UsageError
from medfs.core.patches import PatchBatch
from medfs.features.bundles.config import NETWORK, parse, read_network_def, resolve
from medfs.features.bundles.kinds import Kind
from medfs.features.bundles.networks import build, check
from medfs.features.weights import Given, fitting, read_weights
from medfs.storage.files import sha256
from medfs.storage.tensors import tensors_to_bytes

_WEIGHTS = ("models/model.safetensors", "models/model.pt")
_DEFINITION = "definition"
_INSIDE = "network."
_LARGEST_DEFINITION = 1 << 16
# Grid points along each axis of the patch on which features are counted.
_PROBE = 64


class BundleBackbone(torch.nn.Module):
    """A network of a bundle up to its last map of features, frozen: features of the image channel.

    Its definition travels as bytes of JSON beside the weights, so that a model folder holds all
    that it needs, and is read by the same reader as that of a bundle.

    Args:
        definition: of plain values, `_target_` among them.
        weights: of the whole network, or of the part that is kept.
        where: for errors.

    Raises:
        IntegrityError: the definition is not one that medfs reads, or the weights do not fit.
    """

    name = "bundle"

    def __init__(
        self, definition: Mapping[str, Any], weights: Mapping[str, Tensor], where: str
    ) -> None:
        super().__init__()
        kind, arguments = check(definition, where)
        self._where, self._with_maximum = where, kind.with_maximum
        self.network = _loaded(kind, build(kind, arguments, where), weights, where)
        content = json.dumps({"_target_": kind.name, **arguments}, sort_keys=True).encode()
        self.register_buffer(_DEFINITION, torch.tensor(list(content), dtype=torch.uint8))
        self.identity = f"{self.name}-{sha256(tensors_to_bytes(self.state_dict()))[:16]}"
        # Statistics of normalisation stay: a scan's features do not depend on its neighbours.
        self.requires_grad_(False).eval()
        self.feature_names = tuple(f"{self.name}_{i}" for i in range(self._count()))

    def forward(self, patches: PatchBatch) -> Float[Tensor, "batch feature"]:
        found = self._map(patches.image)
        mean = found.mean(dim=(2, 3, 4))
        if not self._with_maximum:
            return mean
        return torch.cat([mean, found.amax(dim=(2, 3, 4))], dim=1)

    def _map(self, image: Float[Tensor, "batch 1 x y z"]) -> Float[Tensor, "batch channel _ _ _"]:
        try:
            return self.network(image)
        except (RuntimeError, ValueError) as error:
            grid = " × ".join(map(str, image.shape[2:]))
            raise DataError(
                f"the network of the bundle cannot read a patch of {grid} points",
                case=self._where,
                why=str(error).splitlines()[0][:200],
                todo="Give a preset whose shape suits the network: --preset FILE.yaml",
            ) from error

    def _count(self) -> int:
        """Of features; by shapes alone, nothing is computed."""
        shapes = {k: v.to("meta") for k, v in self.state_dict().items()}
        image = torch.empty(1, 1, _PROBE, _PROBE, _PROBE, device="meta")
        spacing = torch.empty(1, 3, device="meta")
        patches = PatchBatch(image, image, spacing)
        return int(torch.func.functional_call(self, shapes, (patches,)).shape[1])


def bundle(weights: Given) -> BundleBackbone:
    """The network of a bundle.

    Args:
        weights: folder of the bundle, or the tensors that a model keeps.

    Raises:
        UsageError: no folder was given.
        ScanReadError: there is no bundle, or it cannot be read.
        IntegrityError: its network is not defined by plain values, is none that medfs knows, or
            its weights do not fit.
    """
    if isinstance(weights, Path):
        if weights.is_file():
            raise UsageError(
                f"{weights} is a file, and a bundle is a folder",
                todo="Unpack it, and give the folder that holds configs/ and models/",
            )
        definition, where = read_network_def(weights)
        return BundleBackbone(definition, read_weights(_weights_file(weights)), where)
    if weights is None:
        raise UsageError(
            "the backbone 'bundle' needs a bundle",
            why="It reads the network and its weights from there",
            todo="Give the folder of a local MONAI bundle: --weights bundle=FOLDER",
        )
    return BundleBackbone(_kept_definition(weights), _without(weights), "the model's bundle")


def _loaded(
    kind: Kind, whole: Any, weights: Mapping[str, Tensor], where: str
) -> torch.nn.Sequential:
    """The part before the head, with its weights."""
    given = {k.removeprefix("module."): v for k, v in weights.items()}
    todo = f"Give the weights that this {kind.name} was saved with: {where}"
    kept = bool(given) and all(k.startswith(_INSIDE) for k in given)
    if not kept:
        whole.load_state_dict(fitting(kind.name, whole.state_dict(), given, todo))
    part = torch.nn.Sequential(*kind.chain(whole))
    if kept:
        given = {k.removeprefix(_INSIDE): v for k, v in given.items()}
        part.load_state_dict(fitting(kind.name, part.state_dict(), given, todo))
    return part


def _weights_file(folder: Path) -> Path:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise ScanReadError(
        "the bundle has no weights",
        case=str(folder),
        why=f"Neither {' nor '.join(_WEIGHTS)} is there",
        todo="Download or train the weights of the bundle first",
    )


def _kept_definition(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a model keeps, held to all that a bundle is held to."""
    where = "the model's bundle"
    kept = weights.get(_DEFINITION)
    if kept is None or kept.dtype != torch.uint8 or not 0 < kept.numel() <= _LARGEST_DEFINITION:
        raise IntegrityError(
            "the model holds no definition of its network",
            case=where,
            todo="Do not use this model; adapt again",
        )
    return resolve({NETWORK: parse(bytes(kept.flatten().tolist()), where)}, where)


def _without(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in weights.items() if k != _DEFINITION}
