"""Real anatomy around a finding: label maps, cut, turned and painted anew for every case."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medfs.synthesis.dice import Dice
from medfs.synthesis.space import Fields, separable

# Orders of the axes.
_TURNS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
MOST_LABELS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class LabelMaps:
    """Maps that the surroundings of cases are cut from.

    Attributes:
        labels: (map, x, y, z), what each voxel is.
        n_labels: one more than the largest label.
    """

    labels: Int[Tensor, "map x y z"]
    n_labels: int

    @classmethod
    def of(
        cls, shapes: Int[Tensor, "map x y z"], shape: tuple[int, int, int], device: torch.device
    ) -> "LabelMaps":
        """Maps for volumes of a shape; voxels finer than half of theirs are skipped."""
        steps = [max(1, n // (2 * max(shape))) for n in shapes.shape[1:]]
        fewer = shapes[:, :: steps[0], :: steps[1], :: steps[2]].to(device, torch.int64)
        return cls(fewer, int(fewer.max()) + 1)

    def paint(self, n: int, shape: tuple[int, int, int], dice: Dice) -> Fields:
        """A map of each case in which every label has a standard normal intensity of its own.

        A box of half to all of a map, its axes in any order and direction, is averaged to the
        shape, so that voxels between two labels hold a mixture.
        """
        which = dice.integers(len(self.labels), n)
        turn = dice.integers(len(_TURNS), n)
        heights = dice.normal(n, self.n_labels)
        sides, places = dice.uniform(0.5, 1, n, 3), dice.uniform(0, 1, n, 3)
        flips = dice.integers(2, n, 3) * 2 - 1
        painted = torch.empty(n, *shape, device=dice.device)
        for number, axes in enumerate(_TURNS):
            rows = (turn == number).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            labels = self.labels[which[rows]].permute(0, *(a + 1 for a in axes))
            values = torch.gather(heights[rows], 1, labels.flatten(1)).view(labels.shape)
            x, y, z = (
                _window(count, labels.shape[a + 1], sides[rows, a], places[rows, a], flips[rows, a])
                for a, count in enumerate(shape)
            )
            painted[rows] = separable(values, (x, y, z))
        return painted


def _window(
    n: int,
    n_from: int,
    side: Float[Tensor, "case"],
    place: Float[Tensor, "case"],
    flip: Int[Tensor, "case"],
) -> Float[Tensor, "case to from"]:
    """Weights that average `side` of a line, somewhere on it and maybe reversed, to n positions."""
    length = side * (n_from - 1)
    middle = length / 2 + place * (n_from - 1 - length)
    target = torch.linspace(-0.5, 0.5, n, device=side.device)
    where = middle[:, None] + target * (flip * length)[:, None]
    sigma = (length / (2 * (n - 1))).clamp_min(0.4)[:, None, None]
    away = where[..., None] - torch.arange(n_from, device=side.device)
    weights = torch.exp(-0.5 * (away / sigma) ** 2)
    return weights / weights.sum(dim=2, keepdim=True)
