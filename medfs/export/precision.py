"""Weights of backbones in fewer bits: half precision, or 8-bit integers per output channel.

Storage alone is reduced; what is computed stays float32, since radiomics sum thousands of
voxels and θ was solved in double precision. The loss is therefore that of rounding the weights
once, and is measured for every file that is written (`workflows/export.py`).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from medfs.core.errors import UsageError

PRECISIONS = ("float32", "float16", "int8")
# Vectors (biases, statistics of normalisation) are small and delicate: they stay as they are.
_LEAST_AXES = 2


class _Half(torch.nn.Module):
    def forward(self, stored: Tensor) -> Tensor:
        return stored.float()

    def right_inverse(self, weight: Tensor) -> tuple[Tensor]:
        # A sequence, even of one: only then may the type differ.
        return (weight.half(),)


class _Eighth(torch.nn.Module):
    """Symmetric integers with one scale per output channel (Jacob et al., CVPR 2018)."""

    def forward(self, stored: Tensor, scale: Tensor) -> Tensor:
        return stored.float() * scale

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        axes = tuple(range(1, weight.dim()))
        scale = weight.abs().amax(dim=axes, keepdim=True).clamp_min(1e-12) / 127
        return torch.round(weight / scale).to(torch.int8), scale


_REDUCED: dict[str, Callable[[], torch.nn.Module]] = {"float16": _Half, "int8": _Eighth}


def reduce_weights(network: torch.nn.Module, precision: str) -> int:
    """Store the weights of a network in fewer bits, in place.

    Args:
        network: its parameters must be frozen.
        precision: `float32` leaves them alone.

    Returns:
        How many weights were reduced.

    Raises:
        UsageError: no such precision, or there are no weights to be reduced.
    """
    if precision not in PRECISIONS:
        raise UsageError(
            f"there is no precision called {precision!r}", why=f"Known: {', '.join(PRECISIONS)}"
        )
    if precision == "float32":
        return 0
    found = [
        (module, name)
        for module in network.modules()
        for name, weight in module.named_parameters(recurse=False)
        if weight.dim() >= _LEAST_AXES
    ]
    if not found:
        raise UsageError(
            f"{precision} would change nothing",
            why="This model has no network: its features are formulas, its θ a few hundred numbers",
            todo="Leave --precision out",
        )
    total = 0
    for module, name in found:
        total += getattr(module, name).numel()
        # An integer parameter must not ask for gradients, which registering would give it.
        parametrize.register_parametrization(module, name, _REDUCED[precision](), unsafe=True)
    return total
