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

from medfs.core.tasks import TaskBatch, balanced
from medfs.synthesis.designs import Design, class_means, draw_labels, draw_latents, mislabel
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import ALL_FACTORS, position
from medfs.synthesis.label_maps import LabelMaps
from medfs.synthesis.plans import TaskPlan
from medfs.synthesis.render import N_STYLES, Rendered, render
from medfs.synthesis.scenes import scene_of, usable_factors

__all__ = ["SyntheticTasks", "TaskPlan", "sample_tasks"]

# Cases are made in chunks of about this many voxels, so that memory stays bounded.
CHUNK_VOXELS = 2**19


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
    maps = None if plan.shapes is None else LabelMaps.of(plan.shapes, plan.shape, dice.device)
    for name in dict.fromkeys(d.scene for d in designs):
        for rows, made in _render_scene(name, designs, plan, dice, maps):
            image[rows], roi[rows], spacing[rows] = made.image, made.roi, made.spacing
    # A zoomed case is the same picture of a larger thing: only millimetres change.
    spacing *= torch.cat([d.zoom for d in designs])[:, None]
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
    name: str, designs: list[Design], plan: TaskPlan, dice: Dice, maps: LabelMaps | None
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
    parts = "branches" if scene_of(name).structure == "vessel" else "count"
    order = where[ALL_FACTORS.index(parts)].argsort(descending=True, stable=True)
    row, where, style = torch.cat(rows)[order], where[:, order], torch.cat(styles)[order]
    size = max(1, CHUNK_VOXELS // (plan.shape[0] * plan.shape[1] * plan.shape[2]))
    made = []
    for start in range(0, len(row), size):
        some = slice(start, start + size)
        factors = dict(zip(ALL_FACTORS, where[:, some], strict=True))
        rendered = render(scene_of(name), factors, style[some], plan.shape, dice, maps)
        made.append((row[some], rendered))
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
    zoom = _zoom(plan, scene, scaled, dice)
    return Design(scene, chosen, labels, given, latents, position(scaled), style, zoom)


def _zoom(
    plan: TaskPlan, scene: str, scaled: Float[Tensor, "factor case"], dice: Dice
) -> Float[Tensor, "case"]:
    """Lengths follow the factor that is the size of the finding."""
    size = "calibre" if scene_of(scene).structure == "vessel" else "size"
    if plan.size_spread == (0.0, 0.0):
        return torch.ones_like(scaled[0])
    spread = dice.uniform(*plan.size_spread, 1)
    return torch.exp(spread * scaled[ALL_FACTORS.index(size)].clamp(-2.5, 2.5))
