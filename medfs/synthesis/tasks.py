"""Synthetic few-shot tasks on 3D volumes, drawn in batches: where meta-training gets its tasks.

A task has a scene (what is imaged, and how), one to three latent factors that define its classes,
and class means in the space of those factors. A case is drawn around the mean of its class; all
other factors, the anatomy and the scanner vary alike in every class. Hence masks and latents are
known, and the best possible classifier too.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medfs.core.errors import EpisodeError
from medfs.core.tasks import TaskBatch, balanced
from medfs.synthesis.designs import Design, class_means, draw_labels, draw_latents, mislabel
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import ALL_FACTORS, position
from medfs.synthesis.render import N_STYLES, Rendered, render
from medfs.synthesis.scenes import ALL_SCENES, scene_of, usable_factors

# Cases are made in chunks of about this many voxels, so that memory stays bounded.
CHUNK_VOXELS = 2**19


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

    Raises:
        EpisodeError: a number out of range, an unknown scene or factor, or a scene that shows none
            of the factors.
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
    shapes: Int[Tensor, "map x y z"] | None = None

    def __post_init__(self) -> None:
        _check(self)
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


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticTasks:
    """A batch of tasks; in each the support rows come first.

    Attributes:
        image: normalised like the presets: CT −1 … 1, PET and pure shapes 0 … 1, MR ±5.
        roi: 0 or 1, never empty; image and region of a padding row are zero.
        spacing: mm along x, y, z.
        labels: true classes.
        given_labels: those of the support may be wrong; −1 is padding.
        n_support: number of support rows.
        n_way: number of classes.
        scenes: of each task.
        class_factors: of each task, those that define its classes.
        latents: of each factor; in standard deviations within a class where it defines classes.
    """

    image: Float[Tensor, "task case 1 x y z"]
    roi: Float[Tensor, "task case 1 x y z"]
    spacing: Float[Tensor, "task case 3"]
    labels: Int[Tensor, "task case"]
    given_labels: Int[Tensor, "task case"]
    n_support: int
    n_way: int
    scenes: tuple[str, ...]
    class_factors: tuple[tuple[str, ...], ...]
    latents: dict[str, Float[Tensor, "task case"]]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_support(self) -> Tensor:
        """(case,), True for support rows."""
        return torch.arange(self.labels.shape[1], device=self.labels.device) < self.n_support

    def batch(self) -> TaskBatch:
        """Items (2, x, y, z): image and region as channels."""
        items, s = torch.cat([self.image, self.roi], dim=2), self.n_support
        given, asked = self.given_labels[:, :s], self.given_labels[:, s:]
        return TaskBatch(
            items[:, :s],
            given.clamp_min(0),
            balanced(given, self.n_way),
            items[:, s:],
            asked,
            balanced(asked, self.n_way),
            self.n_way,
        )


def sample_tasks(
    plan: TaskPlan, generator: torch.Generator, device: torch.device | None = None
) -> SyntheticTasks:
    """Draw a batch of tasks; the generator's state and the plan alone decide which.

    Args:
        plan: what to draw.
        generator: advanced by the call.
        device: where the volumes are made; where the generator lies, unless given.
    """
    dice = Dice.of(generator, device)
    designs = [_design(plan, dice) for _ in range(plan.n_tasks)]
    n_cases = len(designs[0].labels)
    image = torch.zeros(plan.n_tasks * n_cases, *plan.shape, device=dice.device)
    roi, spacing = torch.zeros_like(image), torch.ones(len(image), 3, device=dice.device)
    for name in dict.fromkeys(d.scene for d in designs):
        for rows, made in _render_scene(name, designs, plan, dice):
            image[rows], roi[rows], spacing[rows] = made.image, made.roi, made.spacing
    latents = torch.stack([d.latents for d in designs], dim=1)
    return SyntheticTasks(
        image.view(plan.n_tasks, n_cases, 1, *plan.shape),
        roi.view(plan.n_tasks, n_cases, 1, *plan.shape),
        spacing.view(plan.n_tasks, n_cases, 3),
        torch.stack([d.labels for d in designs]),
        torch.stack([d.given for d in designs]),
        plan.n_support,
        plan.n_way,
        tuple(d.scene for d in designs),
        tuple(d.class_factors for d in designs),
        dict(zip(ALL_FACTORS, latents, strict=True)),
    )


def _render_scene(
    name: str, designs: list[Design], plan: TaskPlan, dice: Dice
) -> list[tuple[Tensor, Rendered]]:
    """The cases of all tasks of one scene, in chunks; padding is left out."""
    n_cases = len(designs[0].labels)
    rows, positions, styles = [], [], []
    for task, design in enumerate(designs):
        if design.scene == name:
            there = (design.given >= 0).nonzero()[:, 0]
            rows.append(task * n_cases + there)
            positions.append(design.positions[:, there])
            styles.append(design.style.expand(len(there), -1))
    where = torch.cat(positions, dim=1)
    # Cases with many parts are made together, which is cheaper.
    order = where[ALL_FACTORS.index("count")].argsort(descending=True, stable=True)
    row, where, style = torch.cat(rows)[order], where[:, order], torch.cat(styles)[order]
    size = max(1, CHUNK_VOXELS // (plan.shape[0] * plan.shape[1] * plan.shape[2]))
    made = []
    for start in range(0, len(row), size):
        some = slice(start, start + size)
        factors = dict(zip(ALL_FACTORS, where[:, some], strict=True))
        made.append((row[some], render(scene_of(name), factors, style[some], plan.shape, dice)))
    return made


def _design(plan: TaskPlan, dice: Dice) -> Design:
    scene = plan.scenes[int(dice.integers(len(plan.scenes), 1))]
    usable = usable_factors(scene_of(scene), plan.factors)
    least, most = plan.n_class_factors
    n_factors = min(len(usable), least + int(dice.integers(most - least + 1, 1)))
    order = dice.uniform(0, 1, len(usable)).argsort()[:n_factors].tolist()
    chosen = tuple(usable[i] for i in order)
    means = class_means(plan.n_way, n_factors, float(dice.uniform(*plan.separation, 1)), dice)
    n_shot = plan.shots[int(dice.integers(len(plan.shots), 1))]
    labels, there = draw_labels(
        plan.n_way, max(plan.shots), n_shot, plan.n_query, plan.imbalance, dice
    )
    row = torch.arange(len(labels), device=dice.device)
    can = there & (row >= plan.n_way) & (row < plan.n_support)
    share = float(dice.uniform(*plan.label_noise, 1))
    given = mislabel(labels, can, share, plan.n_way, dice)
    latents, scaled = draw_latents(labels, chosen, means, dice)
    given = torch.where(there, given, -1)
    style = dice.uniform(0, 1, N_STYLES)
    return Design(scene, chosen, labels, given, latents, position(scaled), style)


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
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise EpisodeError(what, why=f"The plan is {plan}", todo="Change the plan of the tasks")


def _ordered(pair: tuple[float, float], least: float, most: float = float("inf")) -> bool:
    return least <= pair[0] <= pair[1] <= most
