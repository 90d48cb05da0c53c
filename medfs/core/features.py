"""Named blocks of features, and the encoders that make them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from medfs.core.errors import UsageError
from medfs.core.patches import PatchBatch


@runtime_checkable
class Encoder(Protocol):
    """Patches to one block of features; normalisation statistics are frozen.

    `identity` changes whenever the same patch would give other features (name, version, hash of the
    weights): it is part of every cache key and of every model.
    """

    name: str
    identity: str
    feature_names: tuple[str, ...]

    def __call__(self, patches: PatchBatch) -> Float[Tensor, "batch feature"]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Blocks of shape (case, feature), keyed by the identity of the encoder that made them."""

    blocks: Mapping[str, Float[Tensor, "case _"]]

    def __post_init__(self) -> None:
        if len({len(block) for block in self.blocks.values()}) != 1:
            raise UsageError("feature blocks must be present and describe the same cases")

    @property
    def identities(self) -> tuple[str, ...]:
        return tuple(self.blocks)

    def __len__(self) -> int:
        return len(next(iter(self.blocks.values())))

    def __getitem__(self, index: Tensor) -> "Features":
        """The cases at `index` (integer or boolean tensor), in that order."""
        return Features({name: block[index] for name, block in self.blocks.items()})

    def joined(self) -> Float[Tensor, "case feature"]:
        """All blocks side by side, in their order."""
        return torch.cat(list(self.blocks.values()), dim=1)

    def pick(self, identities: Sequence[str]) -> "Features":
        """The blocks of these encoders alone, in this order.

        Raises:
            UsageError: a block is not here.
        """
        if missing := [name for name in identities if name not in self.blocks]:
            raise UsageError(
                f"there are no features of {missing[0]}", why=f"Here are {', '.join(self.blocks)}"
            )
        return Features({name: self.blocks[name] for name in identities})

    @classmethod
    def stack(cls, parts: "list[Features]") -> "Features":
        """The cases of all parts, one after the other; all must have the same blocks."""
        if len({part.identities for part in parts}) != 1:
            raise UsageError("features of different encoders cannot be joined case by case")
        names = parts[0].identities
        return cls({name: torch.cat([part.blocks[name] for part in parts]) for name in names})
