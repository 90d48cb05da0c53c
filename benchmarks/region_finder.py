"""How well regions are found without masks: Dice against the true ones, and seconds per scan.

    OMP_NUM_THREADS=1 python benchmarks/region_finder.py --benchmark DIR --organ DIR

Lung nodules come from the manifest of the malignancy task of the benchmark, in a central field of
22 × 22 × 5 mm and in the whole crops (which are centred on the nodule, and larger around large
ones). `--organ` is a folder with `images` and `labels`, MR scans of an organ. Both hold masks that
the network was never trained on. Fresh synthetic volumes are drawn by another seed than that of the
training. Rules: Otsu's threshold in the same voxels, the whole field, the network.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from tables import markdown, progress, section
from train_region_finder import draw_fields

from medfs.core.volumes import Volume
from medfs.preprocess import regions
from medfs.preprocess.finder import find
from medfs.preprocess.patching import make_field_patch, make_patch
from medfs.preprocess.presets import Preset, load_preset
from medfs.preprocess.resample import resample
from medfs.scans import read_mask, read_volume
from medfs.synthesis.dice import Dice

FIELD_MM = (22.0, 22.0, 5.0)
Mask = Bool[np.ndarray, "x y z"]
Rule = Callable[[Float[np.ndarray, "x y z"], Mask], Mask]


@dataclass(frozen=True, eq=False)
class Look:
    """An image on a grid, what may be looked at, and the true region."""

    image: Float[np.ndarray, "x y z"]
    valid: Mask
    true: Mask


def main() -> None:
    args = _arguments()
    torch.set_num_threads(1)
    if args.benchmark is not None:
        pairs = list(_nodules(args.benchmark))[:: args.every]
        ct = load_preset("ct-lung")
        _report("lung nodules, central field", (_in_field(*pair, ct) for pair in pairs))
        _report("lung nodules, whole crops", (_in_crop(*pair, ct) for pair in pairs))
    if args.organ is not None:
        labels = sorted((args.organ / "labels").glob("*.nii.gz"))[:: args.every]
        pairs = [(args.organ / "images" / path.name, path) for path in labels]
        found = (pair for pair in pairs if pair[0].exists())
        _report("hippocampus, whole crops", (_in_crop(*p, load_preset("mr")) for p in found))
    _report("fresh synthetic lesions", _synthetic(("lesion-ct", "lesion-soft", "lesion-mr")))
    _report("fresh synthetic organs", _synthetic(("organ-ct", "organ-mr")))


def dice(one: Mask, other: Mask) -> float:
    return 2 * float((one & other).sum()) / max(1.0, float(one.sum() + other.sum()))


def network(image: Float[np.ndarray, "x y z"], valid: Mask) -> Mask:
    return find(image, valid).mask


def otsu(image: Float[np.ndarray, "x y z"], valid: Mask) -> Mask:
    """Otsu's rule in the box that may be looked at."""
    where = np.argwhere(valid)
    box = tuple(slice(a, b + 1) for a, b in zip(where.min(0), where.max(0), strict=True))
    mask = np.zeros_like(valid)
    crop = image[box]
    mask[box] = regions.otsu(crop).mask if np.ptp(crop) > 0 else True
    return mask & valid


def whole(_: Float[np.ndarray, "x y z"], valid: Mask) -> Mask:
    return valid


RULES: dict[str, Rule] = {"network": network, "Otsu": otsu, "whole field": whole}


def _nodules(benchmark: Path) -> Iterator[tuple[Path, Path]]:
    with (benchmark / "malignancy.csv").open() as file:
        for row in csv.DictReader(file):
            yield benchmark / row["image"], benchmark / row["mask"]


def _in_field(image: Path, mask: Path, preset: Preset) -> Look | None:
    """The central field, and the true region on the same grid; None if the scan is smaller."""
    volume = read_volume(image)
    if np.any(np.asarray(volume.extent) < FIELD_MM):
        return None
    patch = make_field_patch(volume, FIELD_MM, replace(preset, region="whole"))
    marked = replace(volume, voxels=1000.0 * read_mask(mask, volume)[None].astype(np.float32))
    true = make_field_patch(marked, FIELD_MM, replace(preset, region="whole"))
    valid = patch.roi[0].numpy() > 0
    return Look(patch.image[0].numpy(), valid, (true.image[0].numpy() > 0.5) & valid)


def _in_crop(image: Path, mask: Path, preset: Preset) -> Look:
    """The whole scan on the grid of its patch, centred on its middle."""
    volume = read_volume(image)
    patch = make_patch(volume, np.ones(volume.voxels.shape[1:], bool), preset)
    true = _on_grid(volume, _union(mask, volume, preset), patch.spacing.numpy(), preset)
    valid = patch.roi[0].numpy() > 0
    return Look(patch.image[0].numpy(), valid, true & valid)


def _union(path: Path, volume: Volume, preset: Preset) -> Mask:
    """The organ is the union of its two parts; a nodule has one."""
    labels = ("1", "2") if preset.name == "mr" else (None,)
    return np.any([read_mask(path, volume, label=label) for label in labels], axis=0)


def _on_grid(
    volume: Volume, mask: Mask, grid: Float[np.ndarray, "3"], preset: Preset
) -> Bool[np.ndarray, "i j k"]:
    centre = (np.asarray(mask.shape) - 1) / 2
    step = grid.astype(float) / np.asarray(volume.spacing)
    return resample(mask, centre, step, preset.shape, repeat_edge=False) >= 0.5


def _synthetic(names: tuple[str, ...], batches: int = 20) -> Iterator[Look]:
    source = Dice.of(torch.Generator().manual_seed(10_000))
    for _ in range(batches):
        fields = draw_fields(source, names)
        for image, valid, wanted in zip(fields.image, fields.valid, fields.wanted, strict=True):
            true = wanted[0].numpy() > 0.5
            if true.any():
                yield Look(image[0].numpy(), valid[0].numpy() > 0, true)


def _report(title: str, looks: Iterator[Look | None]) -> None:
    progress(title)
    scores: dict[str, list[float]] = {name: [] for name in RULES}
    seconds = dict.fromkeys(RULES, 0.0)
    for look in looks:
        if look is None or not look.true.any():
            continue
        for name, rule in RULES.items():
            started = time.perf_counter()
            mask = rule(look.image, look.valid)
            seconds[name] += time.perf_counter() - started
            scores[name].append(dice(mask, look.true))
    rows = [
        (
            name,
            f"{np.mean(of):.3f}",
            *(f"{np.quantile(of, q):.3f}" for q in (0.1, 0.5, 0.9)),
            f"{1000 * seconds[name] / len(of):.0f}",
        )
        for name, of in scores.items()
    ]
    header = ("rule", "mean Dice", "10 %", "median", "90 %", "ms per scan")
    section(f"{title} ({len(next(iter(scores.values())))} scans)", markdown(header, rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, help="folder of frozen episodes")
    parser.add_argument("--organ", type=Path, help="folder with images and labels")
    parser.add_argument("--every", type=int, default=1, help="use every so-manieth scan")
    return parser.parse_args()


if __name__ == "__main__":
    main()
