"""Several few-shot tasks of one shape side by side: what a step of meta-training reads."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medfs.core.errors import EpisodeError


@dataclass(frozen=True, slots=True, eq=False)
class TaskBatch:
    """N-way tasks with equally many rows; a row of weight zero is padding.

    An item is one case: `(feature,)`, or `(channel, x, y, z)` with image and region as channels.

    Attributes:
        support: (task, case, *item).
        support_labels: (task, case), 0 … n_way − 1.
        support_weights: (task, case), not negative; in every task all classes sum to the same,
            and all rows to 1.
        query: (task, case, *item).
        query_labels: (task, case).
        query_weights: (task, case), as those of the support.
        n_way: number of classes of every task.

    Raises:
        EpisodeError: fewer than two classes, or a class without a support case.
    """

    support: Float[Tensor, "task support *item"]
    support_labels: Int[Tensor, "task support"]
    support_weights: Float[Tensor, "task support"]
    query: Float[Tensor, "task query *item"]
    query_labels: Int[Tensor, "task query"]
    query_weights: Float[Tensor, "task query"]
    n_way: int

    def __post_init__(self) -> None:
        if self.n_way < 2:
            raise EpisodeError(f"a task needs at least two classes, found {self.n_way}")
        empty = self.members.sum(dim=1) <= 0
        if bool(empty.any()):
            task, label = torch.nonzero(empty)[0].tolist()
            raise EpisodeError(
                f"class {label} of task {task} has no support case",
                why=f"The tasks have {self.n_way} classes and {self.support.shape[1]} support rows",
            )

    @property
    def members(self) -> Float[Tensor, "task support way"]:
        """Weight of every support case in every class."""
        codes = torch.nn.functional.one_hot(self.support_labels, self.n_way)
        return codes.to(self.support_weights.dtype) * self.support_weights[..., None]

    def __len__(self) -> int:
        return len(self.support)


def balanced(labels: Int[Tensor, "task case"], n_way: int) -> Float[Tensor, "task case"]:
    """Weights that sum to one in every task, each class alike; a label of −1 is padding."""
    codes = torch.nn.functional.one_hot(labels.clamp_min(0), n_way) * (labels >= 0)[..., None]
    counts = codes.sum(dim=1, keepdim=True).clamp_min(1)
    present = (codes.sum(dim=1) > 0).sum(dim=1)
    return (codes / counts).sum(dim=2).float() / present[:, None].clamp_min(1)
