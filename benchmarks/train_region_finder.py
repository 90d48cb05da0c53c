"""Trains the region finder that medfs ships, on synthetic volumes alone.

    OMP_NUM_THREADS=1 python benchmarks/train_region_finder.py --out medfs/shipped

No real scan, mask or label is read. A step draws cases of one scene, whose findings are smaller and
larger than in few-shot tasks, and cuts a field out of each: of any size, the finding near the
middle of it, zero beyond, intensities shifted. What is written is the average of the weights of the
last steps, `region-finder.safetensors`. The same seed gives the same bytes on the same machine.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tables import progress
from torch import Tensor
from torch.nn import functional

from medfs.preprocess.finder_net import FinderNet
from medfs.storage.files import write_bytes
from medfs.storage.tensors import tensors_to_bytes
from medfs.synthesis.acquisition import acquire, normalise
from medfs.synthesis.dice import Dice
from medfs.synthesis.factors import ALL_FACTORS
from medfs.synthesis.render import N_STYLES, render, tissue
from medfs.synthesis.scenes import Scene, scene_of
from medfs.synthesis.space import Space
from medfs.synthesis.structures import draw_region
from medfs.synthesis.surroundings import layered

SIDE, CASES = 40, 10
# How often each scene is drawn. In most scans the finding is a lesion.
CHANCES = {
    "lesion-ct": 10,
    "lesion-soft": 4,
    "lesion-mr": 5,
    "uptake-pet": 2,
    "vessel-ct": 1,
    "vessel-mr": 1,
    "organ-ct": 2,
    "organ-mr": 4,
    "organ-pet": 1,
    "organ-shape": 0.5,
    "shape": 0.5,
}
LESION_FIELDS_MM, LESION_RADII = (36.0, 60.0), (0.035, 0.32)
# Ground glass to calcified; in few-shot tasks the range is narrower.
LUNG_CONTRAST = (150.0, 1200.0)
PLANES, DEPTHS = (16, 20, 24, 24, 28, 32), (4, 4, 8, 8, 12, 16, 24)
ZOOM = (0.6, 1.4)


@dataclass(frozen=True)
class Fields:
    """Inputs and targets of a step: (case, 1, x, y, z), all of them."""

    image: Tensor
    valid: Tensor
    wanted: Tensor


def main() -> None:
    args = _arguments()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    net = FinderNet()
    average = {name: value.clone() for name, value in net.state_dict().items()}
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=1e-4)
    dice = Dice.of(torch.Generator().manual_seed(args.seed))
    losses, started = [], time.perf_counter()
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = args.rate * _schedule(step, args.horizon)
        fields = draw_fields(dice)
        loss = _loss(net(fields.image, fields.valid), fields)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        _follow(average, net, min(0.995, (1 + step) / (10 + step)))
        losses.append(float(loss.detach()))
        if (step + 1) % args.every == 0:
            mean = sum(losses[-args.every :]) / args.every
            progress(f"step {step + 1}: loss {mean:.4f}, {time.perf_counter() - started:.0f} s")
            _write(args.out, average)
    _write(args.out, average)


def draw_fields(dice: Dice, names: tuple[str, ...] = tuple(CHANCES)) -> Fields:
    """Fields of some cases of one scene."""
    chances = torch.tensor([CHANCES[name] for name in names]).cumsum(0)
    scene = scene_of(names[int((dice.uniform(0, float(chances[-1]), 1) > chances).sum())])
    image, roi = _cases(scene, dice)
    plane = PLANES[int(dice.integers(len(PLANES), 1))]
    shape = (plane, plane, DEPTHS[int(dice.integers(len(DEPTHS), 1))])
    both = _cut(torch.cat([image, roi], dim=1), roi, shape, dice)
    valid = _valid(len(both), shape, dice)
    return Fields(_intensities(both[:, :1], valid, dice), valid, both[:, 1:] * valid)


def _cases(scene: Scene, dice: Dice) -> tuple[Tensor, Tensor]:
    """Image and region: (case, 1, x, y, z)."""
    positions = {name: dice.uniform(0, 1, CASES) for name in ALL_FACTORS}
    style, shape = dice.uniform(0, 1, CASES, N_STYLES), (SIDE, SIDE, SIDE)
    if scene.structure == "lesion":
        field = float(dice.uniform(*LESION_FIELDS_MM, 1)) * scene.field_mm / 48
        scene = replace(scene, field_mm=field, size=LESION_RADII)
        # Small ones are more common; several parts are rare: who knows which belong together?
        positions["size"] = positions["size"] ** 1.5
        positions["count"] = positions["count"] * 0.75
    if scene.modality is None:
        made = render(scene, positions, style, shape, dice)
        return made.image[:, None], made.roi[:, None]
    modality = scene.modality
    if scene.name == "lesion-ct":
        modality = replace(modality, contrast=LUNG_CONTRAST)
    sides = torch.full((CASES, 3), scene.field_mm / SIDE)
    space = Space(shape, sides * dice.uniform(0.9, 1.12, CASES, 1))
    region = draw_region(scene, positions, style[:, 0], dice, space)
    least = region.depth.amax(dim=(1, 2, 3), keepdim=True).clamp_max(0)
    roi = (region.depth >= least).float()
    white = dice.noise(CASES, *shape)
    base = layered(modality, dice, space)
    vessels = 1 + int(dice.integers(3, 1))
    before = tissue(scene, modality, positions, style, region, base, white, dice, vessels)
    scan = acquire(before, white, modality, scene.field_mm, dice, space)
    return normalise(scan, modality)[:, None], roi[:, None]


def _cut(both: Tensor, roi: Tensor, shape: tuple[int, int, int], dice: Dice) -> Tensor:
    """Fields of `shape` around the finding, interpolated, within the volume."""
    n = len(both)
    middle, length = _boxes(roi[:, 0] > 0.5)
    spread = torch.tensor([0.5, 0.5, 1.0, 3.0])[dice.integers(4, n)][:, None]
    middle = middle + dice.normal(n, 3) * torch.minimum(spread, 0.25 * length)
    sides = torch.tensor(shape, dtype=torch.float32)
    # Each field has a zoom of its own; planes may be thicker or thinner than the rest.
    low, high = (torch.tensor(z).log() for z in ZOOM)
    step = torch.exp(low + (high - low) * dice.uniform(0, 1, n, 1))
    step = step * torch.exp(0.1 * dice.normal(n, 3))
    step = torch.minimum(step, (SIDE - 1) / sides)
    reach = step * sides / 2
    middle = torch.minimum(torch.maximum(middle, reach - 0.5), SIDE - 0.5 - reach)
    theta = torch.zeros(n, 3, 4)
    for axis in range(3):
        # grid_sample counts axes backwards, from −1 to 1 between the outer edges.
        theta[:, 2 - axis, 2 - axis] = reach[:, axis] * 2 / SIDE
        theta[:, 2 - axis, 3] = (2 * middle[:, axis] + 1) / SIDE - 1
    grid = functional.affine_grid(theta, [n, 2, *shape], align_corners=False)
    return functional.grid_sample(both, grid, padding_mode="border", align_corners=False)


def _boxes(roi: Tensor) -> tuple[Tensor, Tensor]:
    """Middle and sides of the bounding box of every region, in voxels: (case, 3) each."""
    low, high = [], []
    for axis in (1, 2, 3):
        line = roi.any(dim=3 if axis != 3 else 2).any(dim=1 if axis != 1 else 2).int()
        low.append(line.argmax(dim=1))
        high.append(line.shape[1] - 1 - line.flip(1).argmax(dim=1))
    first, last = torch.stack(low, 1).float(), torch.stack(high, 1).float()
    return (first + last) / 2, last - first + 1


def _valid(n: int, shape: tuple[int, int, int], dice: Dice) -> Tensor:
    """Central boxes that fill most of the grid: (case, 1, x, y, z)."""
    valid = torch.ones(n, 1, *shape)
    for axis, side in enumerate(shape):
        away = (torch.arange(side) - (side - 1) / 2).abs()
        half = side / 2 - dice.integers(2, n) * (side > 4)
        inside = (away < half[:, None]).float()
        valid = valid * inside.view([n, *(side if a == axis else 1 for a in (-1, 0, 1, 2))])
    return valid


def _intensities(image: Tensor, valid: Tensor, dice: Dice) -> Tensor:
    """Another scale, another offset, more noise; in half of the cases none of it."""
    n = len(image)
    changed = dice.integers(2, n).float().view(n, 1, 1, 1, 1)
    scale, offset, noise = (dice.normal(n, 1, 1, 1, 1) * s * changed for s in (0.2, 0.15, 0.05))
    white = dice.noise(*image.shape)
    return ((image * scale.exp() + offset) + noise.abs() * white) * valid


def _loss(logits: Tensor, fields: Fields) -> Tensor:
    """Cross-entropy of points plus one minus Dice of cases."""
    share = functional.binary_cross_entropy_with_logits(logits, fields.wanted, reduction="none")
    entropy = (share * fields.valid).sum() / fields.valid.sum()
    found = logits.sigmoid() * fields.valid
    both = (found * fields.wanted).sum(dim=(1, 2, 3, 4))
    sizes = (found + fields.wanted).sum(dim=(1, 2, 3, 4))
    return entropy + 1 - ((2 * both + 1) / (sizes + 1)).mean()


def _schedule(step: int, horizon: int) -> float:
    """Warm up, then a cosine that would reach zero at the horizon."""
    cosine = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / horizon)))
    return min(1.0, (step + 1) / 100) * float(cosine)


def _follow(average: dict[str, Tensor], net: torch.nn.Module, keep: float) -> None:
    for name, value in net.state_dict().items():
        average[name].lerp_(value, 1 - keep)


def _write(folder: Path, tensors: dict[str, Tensor]) -> None:
    write_bytes(folder / "region-finder.safetensors", tensors_to_bytes(tensors))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--horizon", type=int, default=5000, help="step of learning rate zero")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=100, help="steps between reports")
    return parser.parse_args()


if __name__ == "__main__":
    main()
