"""Which classes a task has: scene, factors, class means, labels, latents."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import ALL_FACTORS


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Latents and labels of all cases of one task.

    Attributes:
        scene: its name.
        class_factors: those that define the classes.
        labels: (case,), support rows first.
        given: (case,), as given to a learner; −1 for padding.
        latents: (factor, case), in standard deviations within a class.
        positions: (factor, case), 0 … 1.
        style: what all cases share, 0 … 1.
        zoom: (case,), by which lengths are larger than rendered.
    """

    scene: str
    class_factors: tuple[str, ...]
    labels: Int[Tensor, "case"]
    given: Int[Tensor, "case"]
    latents: Float[Tensor, "factor case"]
    positions: Float[Tensor, "factor case"]
    style: Float[Tensor, "style"]
    zoom: Float[Tensor, "case"]


def class_means(
    n_way: int, n_factors: int, separation: float, dice: Dice
) -> Float[Tensor, "factor way"]:
    """Means of the classes; the two nearest are `separation` apart.

    Along each factor the classes are evenly spread, in an order of its own.
    """
    levels = torch.arange(n_way, device=dice.device) - (n_way - 1) / 2
    order = dice.uniform(0, 1, n_factors, n_way).argsort(dim=1)
    means = levels[order]
    apart = torch.cdist(means.T, means.T) + torch.eye(n_way, device=dice.device) * 1e6
    return means * (separation / apart.min())


def draw_labels(
    n_way: int, most_shots: int, n_shot: int, n_query: int, imbalance: float, dice: Dice
) -> tuple[Int[Tensor, "case"], Bool[Tensor, "case"]]:
    """True labels, classes in turn, and which rows are cases (the others are padding).

    Args:
        n_way: number of classes.
        most_shots: support rows of a class.
        n_shot: support cases of a class, at most.
        n_query: queries of a class.
        imbalance: 0 leaves every class n_shot cases, 1 leaves any number from one.
        dice: how many are missing.
    """
    per_class = most_shots + n_query
    labels = torch.arange(per_class * n_way, device=dice.device) % n_way
    row = torch.arange(per_class * n_way, device=dice.device) // n_way
    missing = (dice.uniform(0, 1, n_way) * imbalance * n_shot).floor().clamp_max(n_shot - 1)
    there = (row < n_shot - missing[labels]) | (row >= most_shots)
    return labels, there


def mislabel(
    labels: Int[Tensor, "case"], can: Bool[Tensor, "case"], share: float, n_way: int, dice: Dice
) -> Int[Tensor, "case"]:
    """Labels of which `share` of the support is wrong; only rows of `can` are changed.

    One case of each class keeps its label, so the others err a little more often.
    """
    support = int(can.sum()) + n_way
    chance = share * support / max(1, int(can.sum()))
    wrong = can & (dice.uniform(0, 1, len(labels)) < chance)
    return torch.where(wrong, (labels + 1 + dice.integers(n_way - 1, len(labels))) % n_way, labels)


def draw_latents(
    labels: Int[Tensor, "case"],
    class_factors: tuple[str, ...],
    means: Float[Tensor, "factor way"],
    dice: Dice,
) -> tuple[Float[Tensor, "factor case"], Float[Tensor, "factor case"]]:
    """Latents, and the same scaled to unit variance over all classes of the task."""
    latents = dice.normal(len(ALL_FACTORS), len(labels))
    scale = torch.ones(len(ALL_FACTORS), device=dice.device)
    for row, name in enumerate(class_factors):
        factor = ALL_FACTORS.index(name)
        latents[factor] += means[row][labels]
        scale[factor] = (1 + means[row].var(correction=0)) ** -0.5
    return latents, latents * scale[:, None]
