"""Patch → features, one case at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from medfs.core.features import Encoder, Features
from medfs.core.patches import Patch, PatchBatch


def encode(encoders: Sequence[Encoder], patch: Patch, device: torch.device) -> Features:
    """Features of one patch, as one row per block, in float32 on the CPU.

    A batch of one, always: the sums inside a network round differently with the size of the batch,
    and a scan must get the same probabilities alone as among others.
    """
    batch = PatchBatch.of(patch).to(device)
    with torch.inference_mode():
        blocks = {e.identity: _finite(e, e(batch).float().cpu()) for e in encoders}
    return Features({name: block.clone() for name, block in blocks.items()})


def _finite(encoder: Encoder, block: Tensor) -> Tensor:
    if not bool(torch.isfinite(block).all()):
        bad = int(torch.nonzero(~torch.isfinite(block[0]))[0])
        raise FloatingPointError(f"{encoder.identity}: {encoder.feature_names[bad]} is not finite")
    return block
