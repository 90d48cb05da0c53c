"""What tasks to draw: the numbers that make a batch, and those that make none."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from medfs.core.errors import EpisodeError
from medfs.synthesis.factors import ALL_FACTORS
from medfs.synthesis.label_maps import MOST_LABELS
from medfs.synthesis.scenes import ALL_SCENES, scene_of, usable_factors


@dataclass(frozen=True, slots=True, eq=False)
class TaskPlan:
    """What tasks to draw.

    Attributes:
        n_tasks: tasks of a batch.
        n_way: classes of every task.
        n_shot: support cases of a class, at most; of several numbers each task draws one.
        n_query: queries of a class.
        shape: voxels along x, y, z.
        scenes: kinds of tasks, drawn with equal chance.
        factors: which may define classes; hold some out for validation.
        n_class_factors: least and most factors that define the classes of a task.
        separation: distance of the two nearest class means, in standard deviations within a class,
            drawn from this range: the difficulty. With two classes the best AUROC is Φ(d / √2).
        label_noise: share of wrong support labels, drawn from this range.
        imbalance: 0 gives each class n_shot cases, 1 any number from one.
        size_spread: how much more than their voxels tell the cases of a task differ in size: the
            logarithm of a length per standard deviation of the factor, drawn from this range. Real
            cohorts hold findings of a few millimetres beside some of many centimetres.
        shapes: label maps, 0 or more in every voxel, whose anatomy surrounds the findings; without
            them it is made up.

    Raises:
        EpisodeError: a number out of range, an unknown scene or factor, a scene that shows none of
            the factors, or label maps that are none.
    """

    n_tasks: int = 8
    n_way: int = 2
    n_shot: tuple[int, ...] | int = 5
    n_query: int = 5
    shape: tuple[int, int, int] = (32, 32, 32)
    scenes: tuple[str, ...] = ALL_SCENES
    factors: tuple[str, ...] = ALL_FACTORS
    n_class_factors: tuple[int, int] = (1, 3)
    separation: tuple[float, float] = (1.5, 4.0)
    label_noise: tuple[float, float] = (0.0, 0.0)
    imbalance: float = 0.0
    size_spread: tuple[float, float] = (0.0, 0.0)
    shapes: Int[Tensor, "map x y z"] | None = None

    def __post_init__(self) -> None:
        _check(self)
        if self.shapes is not None:
            _check_maps(self.shapes)
        for name in self.scenes:
            usable_factors(scene_of(name), self.factors)

    @property
    def shots(self) -> tuple[int, ...]:
        """The numbers of support cases of a class to draw from."""
        return (self.n_shot,) if isinstance(self.n_shot, int) else self.n_shot

    @property
    def n_support(self) -> int:
        """Support rows of a task, padding included."""
        return self.n_way * max(self.shots)


def _check(plan: TaskPlan) -> None:
    """Numbers that make no task."""
    low, high = plan.n_class_factors
    wrong = {
        "n_tasks must be at least 1": plan.n_tasks < 1,
        "n_way must be at least 2": plan.n_way < 2,
        "n_shot must be at least 1": min(plan.shots, default=0) < 1,
        "n_query must be at least 1": plan.n_query < 1,
        "each side of the shape must have at least 8 voxels": min(plan.shape) < 8,
        "scenes must not be empty": not plan.scenes,
        "n_class_factors must be two numbers from 1, in order": not 1 <= low <= high,
        "separation must be two positive numbers, in order": not _ordered(plan.separation, 1e-6),
        "label_noise must be two shares below ½, in order": not _ordered(plan.label_noise, 0, 0.5),
        "imbalance must lie in 0 … 1": not 0 <= plan.imbalance <= 1,
        "size_spread must be two numbers in 0 … 1, in order": not _ordered(plan.size_spread, 0, 1),
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise EpisodeError(what, why=f"The plan is {plan}", todo="Change the plan of the tasks")


def _check_maps(shapes: Tensor) -> None:
    """Maps are integers in four dimensions, none of them too large."""
    whole = not (shapes.is_floating_point() or shapes.is_complex())
    if shapes.ndim == 4 and whole and min(shapes.shape[1:]) >= 2 and len(shapes):
        low, high = int(shapes.min()), int(shapes.max())
        if 0 <= low < high < MOST_LABELS:
            return
        why = f"The labels run from {low} to {high}"
    else:
        why = f"The shape is {tuple(shapes.shape)}, the type {shapes.dtype}"
    raise EpisodeError(
        "shapes must be label maps (map, x, y, z)",
        why=why,
        todo=f"Give integers from 0 to {MOST_LABELS - 1}, at least two different ones",
    )


def _ordered(pair: tuple[float, float], least: float, most: float = float("inf")) -> bool:
    return least <= pair[0] <= pair[1] <= most
