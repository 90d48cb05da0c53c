"""Pictures of the synthetic tasks, for `docs/synthesis.md`: what each factor looks like.

    pip install pillow
    python benchmarks/synthesis_pictures.py --out docs/images

One picture per scene shows a case from low to high values of every visible factor, everything else
held; one more shows whole tasks. Lesions and organs are shown in the slice that holds most of the
region, vessels and pure shapes in projection; the outline of the region is orange.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw

from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import ALL_FACTORS, position
from medfs.synthesis.render import render
from medfs.synthesis.scenes import SCENES, Scene, scene_of
from medfs.synthesis.tasks import TaskPlan, sample_tasks

LATENTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
# Of the factors that are not shown in a row: a single body of plain form.
PLAIN = {"count": 0.2, "bulges": 0.2, "branches": 0.2, "asymmetry": 0.1, "irregularity": 0.2}
SIDE, CELL, GAP, LABEL = 48, 84, 4, 122
TASKS = (("lesion-ct", 11), ("organ-mr", 4), ("vessel-shape", 5))
ORANGE, WHITE, BLACK = (255, 140, 0), (255, 255, 255), (0, 0, 0)

Plane = Float[np.ndarray, "x y"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for scene in SCENES.values():
        rows = [
            (f, [_case(scene, f, latent, args.seed) for latent in LATENTS]) for f in scene.visible
        ]
        _save(_montage(rows, "low to high"), args.out / f"synthesis-{scene.name}.png")
    _save(_beside([_task(name, seed) for name, seed in TASKS]), args.out / "synthesis-tasks.png")


def _case(scene: Scene, factor: str, latent: float, seed: int) -> Image.Image:
    """The same case at one value of a factor."""
    positions = {name: torch.full((1,), PLAIN.get(name, 0.5)) for name in ALL_FACTORS}
    positions[factor] = position(torch.tensor([latent]))
    dice = Dice.of(torch.Generator().manual_seed(seed))
    made = render(scene, positions, torch.tensor([[0.7, 0.2]]), (SIDE,) * 3, dice)
    return _cell(scene, made.image[0].numpy(), made.roi[0].numpy() > 0)


def _task(name: str, seed: int) -> Image.Image:
    """A three-way task: a row per class, four cases each."""
    plan = TaskPlan(
        n_tasks=1,
        n_way=3,
        n_shot=2,
        n_query=2,
        shape=(SIDE,) * 3,
        scenes=(name,),
        n_class_factors=(1, 2),
        separation=(3.0, 3.0),
    )
    tasks = sample_tasks(plan, torch.Generator().manual_seed(seed))
    rows = []
    for label in range(plan.n_way):
        found = (tasks.labels[0] == label).nonzero()[:, 0].tolist()
        pairs = [(tasks.image[0, i, 0].numpy(), tasks.roi[0, i, 0].numpy() > 0) for i in found]
        rows.append((f"class {label}", [_cell(scene_of(name), *pair) for pair in pairs]))
    return _montage(rows, f"{name}: {', '.join(tasks.class_factors[0])}", label_width=58)


def _cell(
    scene: Scene, image: Float[np.ndarray, "x y z"], roi: Bool[np.ndarray, "x y z"]
) -> Image.Image:
    """A plane of a case with the outline of its region, y downwards."""
    if scene.modality is None:
        plane, inside = np.sqrt(image.mean(axis=2) / image.mean(axis=2).max()), None
    elif scene.structure == "vessel":
        plane, inside = image.max(axis=2), roi.any(axis=2)
    else:
        at = int(roi.sum(axis=(0, 1)).argmax())
        plane, inside = image[:, :, at], roi[:, :, at]
    shown = Image.fromarray((255 * _grey(scene, plane)).astype(np.uint8).T)
    cell = shown.resize((CELL, CELL), Image.Resampling.BICUBIC).convert("RGB")
    if inside is None:
        return cell
    mask = Image.fromarray((255 * inside).astype(np.uint8).T).resize((CELL, CELL))
    large = np.asarray(mask) > 127
    eroded = large & np.roll(large, 1, 0) & np.roll(large, -1, 0)
    eroded &= np.roll(large, 1, 1) & np.roll(large, -1, 1)
    pixels = np.array(cell)
    pixels[large & ~eroded] = ORANGE
    return Image.fromarray(pixels)


def _grey(scene: Scene, plane: Plane) -> Plane:
    """0 black … 1 white."""
    kind = scene.modality.kind if scene.modality else "shape"
    low, high = {"window": (-1, 0.8), "zscore": (-3, 4)}.get(kind, (0, 1))
    return np.clip((plane - low) / (high - low), 0, 1)


def _montage(
    rows: list[tuple[str, list[Image.Image]]], title: str, label_width: int = LABEL
) -> Image.Image:
    step, head = CELL + GAP, 18
    size = (label_width + step * len(rows[0][1]), head + step * len(rows))
    canvas = Image.new("RGB", size, WHITE)
    pen = ImageDraw.Draw(canvas)
    pen.text((label_width, 3), title, fill=BLACK)
    for i, (label, cells) in enumerate(rows):
        top = head + i * step
        pen.text((2, top + CELL // 2 - 6), label.replace("_", " "), fill=BLACK)
        for j, cell in enumerate(cells):
            canvas.paste(cell, (label_width + j * step, top))
    return canvas


def _beside(pictures: list[Image.Image]) -> Image.Image:
    width = sum(p.width + 3 * GAP for p in pictures)
    canvas = Image.new("RGB", (width, max(p.height for p in pictures)), WHITE)
    left = 0
    for picture in pictures:
        canvas.paste(picture, (left, 0))
        left += picture.width + 3 * GAP
    return canvas


def _save(picture: Image.Image, path: Path) -> None:
    """Few colours and few bytes."""
    colours: Iterable[tuple[int, int, int]] = [ORANGE, *((g, g, g) for g in range(0, 256, 5))]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
