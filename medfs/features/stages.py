"""A small 3D encoder that meta-training trains end to end, and whose stages a mapper can modulate.

Four stages of strided convolutions; mean and maximum of every stage are the features, so that fine
texture and coarse shape both reach the head. There are no batch statistics: the weights are
standardised instead (Qiao et al., arXiv 1903.10520), and a case has the same features whatever
stands beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import IntegrityError, UsageError
from medfs.core.patches import PatchBatch
from medfs.features.weights import read_weights
from medfs.storage.files import sha256
from medfs.storage.tensors import tensors_to_bytes

# Gain and shift of every stage's channels: (case, channel), or (1, channel) for all cases.
Modulation = Sequence[tuple[Float[Tensor, "_ _"], Float[Tensor, "_ _"]]]
WIDTHS = (12, 24, 48, 96)
_PREFIX = "encoder."


class StageNet(torch.nn.Module):
    """Image and region → 2 × sum(widths) features of unit variance across the row.

    Args:
        widths: channels of each stage; every stage but the first halves the grid.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.n_features = 2 * sum(self.widths)
        generator = torch.Generator().manual_seed(0)
        pairs = zip((2, *self.widths[:-1]), self.widths, strict=True)
        self.kernels = torch.nn.ParameterList(
            torch.randn(n_out, n_in, 3, 3, 3, generator=generator) for n_in, n_out in pairs
        )
        self.gains = torch.nn.ParameterList(torch.ones(n) for n in self.widths)
        self.shifts = torch.nn.ParameterList(torch.zeros(n) for n in self.widths)

    def forward(
        self,
        images: Float[Tensor, "case 2 x y z"],
        modulation: Modulation | None = None,
    ) -> Float[Tensor, "case feature"]:
        """Features of every case.

        Args:
            images: image and region of interest as channels.
            modulation: for each stage (1 + gain) and shift of its channels before the activation.
        """
        x, pooled = images, []
        for i, kernel in enumerate(self.kernels):
            x = torch.nn.functional.conv3d(
                x, _standardised(kernel), stride=1 if i == 0 else 2, padding=1
            )
            gain, shift = self.gains[i], self.shifts[i]
            if modulation is not None:
                more, offset = modulation[i]
                gain, shift = gain * (1 + more), shift + offset
            x = _per_channel(x, gain, shift)
            x = torch.nn.functional.silu(x)
            pooled += [x.mean(dim=(2, 3, 4)), x.amax(dim=(2, 3, 4))]
        row = torch.cat(pooled, dim=1).float()
        return torch.nn.functional.layer_norm(row, row.shape[1:])


class StageEncoder(torch.nn.Module):
    """A trained `StageNet` as an encoder of patches: frozen, known by the hash of its weights.

    Raises:
        IntegrityError: the tensors are not those of a `StageNet`.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        # Files of meta-training hold the mapper too; models hold the network alone.
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in tensors) else "network."
        found = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        widths = [len(t) for name, t in sorted(found.items()) if name.startswith("gains.")]
        self.name = "stages"
        try:
            self.network = StageNet(widths or WIDTHS)
            self.network.load_state_dict(found)
        except (RuntimeError, ValueError) as error:
            raise IntegrityError(
                "the weights are not those of medfs's small encoder",
                why=str(error).splitlines()[0],
                todo="Give a mapper file that `medfs meta-train` trained end to end",
            ) from error
        self.identity = f"{self.name}-{sha256(tensors_to_bytes(found))[:16]}"
        self.feature_names = tuple(f"{self.name}_{i}" for i in range(self.network.n_features))
        self.requires_grad_(False).eval()

    def forward(self, patches: PatchBatch) -> Float[Tensor, "batch feature"]:
        return self.network(torch.cat([patches.image, patches.roi], dim=1))


def stages(weights: Path | Mapping[str, Tensor] | None) -> StageEncoder:
    """The small encoder; `weights` as a mapper file of meta-training, or as tensors."""
    if weights is None:
        raise UsageError(
            "the small encoder 'stages' needs weights",
            why="An untrained network has no features worth reading",
            todo="Give what `medfs meta-train` wrote: --weights stages=FILE",
        )
    return StageEncoder(read_weights(weights) if isinstance(weights, Path) else weights)


def _standardised(kernel: Float[Tensor, "out in 3 3 3"]) -> Float[Tensor, "out in 3 3 3"]:
    """Mean 0 and variance 1 / fan-in per output channel: activations keep their scale."""
    flat = kernel.flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    scale = (centred.square().sum(dim=1, keepdim=True) + 1e-6).rsqrt()
    # √2 makes up for what the activation takes.
    return (centred * scale * 2**0.5).view_as(kernel)


def _per_channel(
    x: Float[Tensor, "case channel x y z"], gain: Tensor, shift: Tensor
) -> Float[Tensor, "case channel x y z"]:
    shape = (-1, x.shape[1], 1, 1, 1)
    return x * gain.reshape(shape).to(x.dtype) + shift.reshape(shape).to(x.dtype)
