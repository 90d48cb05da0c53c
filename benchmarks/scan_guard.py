"""Are scans unlike the support told from scans like it? Lung nodules against seven other things.

    OMP_NUM_THREADS=1 python benchmarks/scan_guard.py --benchmark DIR --vessels DIR --organ DIR \\
        --head DIR

Supports are those of the frozen episodes; held-out nodules are drawn from the others of the task,
of other patients. Foreign regions: vessel segments (a folder of binary volumes), an organ in MR (a
folder with `images` and `labels`), balls in soft tissue of a head CT (a DICOM series), and nodules
in which the values were flipped, the rescale of CT was forgotten (+1024 HU), or all voxels were
replaced by noise; and lung without a finding: the nodule's own mask, shifted to where there is
lung and no nodule. No scan is refused for its kind here, as `medfs predict` would do with binary
volumes: the guard alone is judged.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from foreign_scans import hippocampi
from jaxtyping import Bool
from scipy import ndimage
from tables import markdown, progress, section, write_json

from medfs.calibration.guard import foreign_cases, learn_guard
from medfs.core.features import Features
from medfs.core.guards import ScanGuard
from medfs.core.measured import Measured
from medfs.core.threads import single_thread
from medfs.core.volumes import Volume
from medfs.episodes.frozen import FrozenTask, read_frozen
from medfs.features.encode import encode
from medfs.features.radiomics import Radiomics
from medfs.metrics.discrimination import auroc
from medfs.preprocess.measure import measure
from medfs.preprocess.patching import make_patch
from medfs.preprocess.presets import load_preset
from medfs.scans import read_mask, read_volume
from medfs.scans.cohorts import load_cohort
from medfs.workflows.fit import support_set

Mask = Bool[np.ndarray, "x y z"]
Region = tuple[Volume, Mask]
Seen = tuple[Features, Measured]
_REFUSED = 1e6  # any single number out of range counts for more than any distance


@dataclass(frozen=True)
class Judged:
    """What a guard says of many regions: distances over the limit, and whether ranges hold."""

    excess: np.ndarray
    checked: np.ndarray

    @property
    def score(self) -> np.ndarray:
        return np.where(self.checked, 0.0, _REFUSED) + self.excess

    def alarms(self, ranges: bool) -> float:
        return float(np.mean((self.score if ranges else self.excess) > 1))


def main() -> None:
    args = _arguments()
    torch.set_num_threads(1)
    frozen = read_frozen(args.benchmark)
    tasks = {name: frozen.tasks[name] for name in args.task}
    with single_thread():
        nodules = Nodules(tasks.values())
        foreign = {}
        for kind, found in _foreign(nodules.some(args.foreign), args).items():
            foreign[kind] = [_seen(*region) for region in found]
            progress(f"{len(foreign[kind])} × {kind}")
        rows = [
            row
            for name, task in tasks.items()
            for shots in args.shots
            for row in _episodes(name, task, shots, args, nodules, foreign)
        ]
    progress(f"{len(nodules.seen)} nodules")
    _report(rows, args.shots, list(tasks), list(foreign))
    write_json(args.out, {"schema_version": 1, "rows": rows})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of frozen episodes")
    parser.add_argument("--vessels", type=Path, required=True, help="binary volumes (NIfTI)")
    parser.add_argument("--organ", type=Path, required=True, help="folder: images, labels")
    parser.add_argument("--head", type=Path, required=True, help="DICOM series of a head")
    parser.add_argument("--task", nargs="+", default=["malignancy", "texture"])
    parser.add_argument("--shots", type=int, nargs="+", default=[10])
    parser.add_argument("--episodes", type=int, default=5, help="supports of each task")
    parser.add_argument("--held-out", type=int, default=100, help="held-out nodules of each task")
    parser.add_argument("--foreign", type=int, default=40, help="regions of each foreign kind")
    parser.add_argument("--out", type=Path, help="JSON file of all numbers")
    return parser.parse_args()


class Nodules:
    """Nodules of several tasks, read and measured when they are asked for."""

    def __init__(self, tasks: Iterable[FrozenTask]) -> None:
        self.cases = {c.case_id: c for task in tasks for c in load_cohort(task.manifest).cases}
        self.seen: dict[str, Seen] = {}

    def region(self, name: str) -> Region:
        case = self.cases[name]
        assert case.mask is not None  # noqa: S101
        volume = read_volume(case.image)
        return volume, read_mask(case.mask, volume)

    def some(self, count: int) -> list[Region]:
        """Evenly spread over the cases."""
        names = sorted(self.cases)
        return [self.region(name) for name in names[:: max(1, len(names) // count)][:count]]

    def __getitem__(self, name: str) -> Seen:
        if name not in self.seen:
            self.seen[name] = _seen(*self.region(name))
        return self.seen[name]


def _seen(volume: Volume, mask: Mask) -> Seen:
    patch = make_patch(volume, mask, _PRESET)
    return encode(_ENCODERS, patch, torch.device("cpu")), measure(volume, patch)


_PRESET, _ENCODERS = load_preset("ct-lung"), (Radiomics(),)


def _foreign(nodules: list[Region], args: argparse.Namespace) -> dict[str, Iterator[Region]]:
    rng = np.random.default_rng(0)
    return {
        "vessel segments": _vessels(args.vessels, args.foreign),
        "hippocampus, MR": _organ(args.organ, args.foreign),
        "soft tissue, head CT": _soft(args.head, rng, args.foreign),
        "noise": ((_valued(v, rng.normal(-300, 300, v.voxels.shape)), mask) for v, mask in nodules),
        "flipped values": ((_valued(v, -600.0 - v.voxels), mask) for v, mask in nodules),
        "rescale forgotten": ((_valued(v, v.voxels + 1024.0), mask) for v, mask in nodules),
        "lung without a finding": _background(nodules, rng),
    }


def _valued(volume: Volume, voxels: np.ndarray) -> Volume:
    return replace(volume, voxels=voxels.astype(np.float32))


def _vessels(folder: Path, count: int) -> Iterator[Region]:
    paths = sorted(folder.glob("*.nii.gz"))
    for path in paths[:: max(1, len(paths) // count)][:count]:
        volume = read_volume(path)
        yield volume, volume.voxels[0] > volume.voxels.max() / 2


def _organ(folder: Path, count: int) -> Iterator[Region]:
    for source in hippocampi(folder, count):
        assert source.mask is not None  # noqa: S101
        yield source.volume, source.mask > 0


def _soft(series: Path, rng: np.random.Generator, count: int) -> Iterator[Region]:
    """Balls of 3 to 12 mm radius whose median lies between 0 and 90 HU, in crops around them."""
    volume = read_volume(series)
    voxels, spacing = volume.voxels[0], np.asarray(volume.spacing)
    reach = np.ceil(30 / spacing).astype(int)
    while count:
        centre, radius = rng.integers(0, voxels.shape), np.exp(rng.uniform(*np.log([3.0, 12.0])))
        low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, voxels.shape)
        crop = voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        axes = [
            (np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, spacing, strict=True)
        ]
        mask = sum(x**2 for x in np.meshgrid(*axes, indexing="ij")) <= radius**2
        if 0 < np.median(crop[mask]) < 90:
            count -= 1
            yield replace(volume, voxels=np.ascontiguousarray(crop)[None]), mask


def _background(nodules: list[Region], rng: np.random.Generator) -> Iterator[Region]:
    """The mask of a nodule where there is lung, at least 2 mm from the nodule; where it fits."""
    for volume, mask in nodules:
        voxels = volume.voxels[0]
        away = ndimage.distance_transform_edt(~mask, sampling=volume.spacing) > 2
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        inside = mask[box]
        room = np.asarray(mask.shape) - inside.shape
        for _ in range(60):
            at = rng.integers(0, room + 1)
            moved = np.zeros_like(mask)
            where = tuple(slice(a, a + n) for a, n in zip(at, inside.shape, strict=True))
            moved[where] = inside
            if away[moved].all() and np.median(voxels[moved]) < -700:
                yield volume, moved
                break


def _episodes(
    name: str,
    task: FrozenTask,
    shots: int,
    args: argparse.Namespace,
    known: Nodules,
    foreign: Mapping[str, Sequence[Seen]],
) -> Iterator[dict[str, object]]:
    patient = {c.case_id: c.patient_id for c in load_cohort(task.manifest).cases}
    # In an order that has nothing to do with the ids.
    drawn = np.random.default_rng(1).permutation(sorted(patient))
    for number, episode in enumerate(task.shots[shots][: args.episodes]):
        support = [(case, label) for label in task.class_names for case in episode.support[label]]
        seen = [known[case] for case, _ in support]
        made = support_set(
            [features for features, _ in seen],
            [label for _, label in support],
            [patient[case] for case, _ in support],
        )
        measured = [m for _, m in seen]
        guard = learn_guard(made, measured)
        used = {patient[case] for case, _ in support}
        others = [case for case in drawn if patient[case] not in used][: args.held_out]
        like = _judged(guard, [known[case] for case in others])
        row: dict[str, object] = {"task": name, "shots": shots, "episode": number}
        row |= {"alarms": like.alarms(True), "alarms_distance": like.alarms(False)}
        row["warned_of_support"] = len(foreign_cases(made, measured)) / len(support)
        row["kinds"] = {kind: _compared(_judged(guard, s), like) for kind, s in foreign.items()}
        yield row


def _judged(guard: ScanGuard, seen: Sequence[Seen]) -> Judged:
    verdicts = [guard(features, measured) for features, measured in seen]
    excess = np.array([v.excess if v.excess is not None else 0.0 for v in verdicts])
    return Judged(excess, np.array([v.checked for v in verdicts]))


def _compared(odd: Judged, like: Judged) -> dict[str, float]:
    is_odd = np.repeat([True, False], [len(odd.excess), len(like.excess)])
    return {
        "auroc": auroc(np.concatenate([odd.score, like.score]), is_odd),
        "auroc_distance": auroc(np.concatenate([odd.excess, like.excess]), is_odd),
        "told": odd.alarms(True),
        "told_distance": odd.alarms(False),
    }


def _report(rows: list[dict], shots: list[int], tasks: list[str], kinds: list[str]) -> None:
    figures = (
        ("AUROC of unfamiliarity", "auroc"),
        ("AUROC of the distance alone", "auroc_distance"),
        ("share told", "told"),
        ("share told by the distance alone", "told_distance"),
    )
    for k in shots:
        of = {t: [r for r in rows if r["task"] == t and r["shots"] == k] for t in tasks}
        lines = []
        for label, key in (
            ("all checks", "alarms"),
            ("distance alone", "alarms_distance"),
            ("support cases warned of", "warned_of_support"),
        ):
            lines.append([label, *(_mean_max([r[key] for r in of[t]]) for t in tasks)])
        section(
            f"{k} cases of each class: false alarms on held-out nodules, mean (worst support)",
            markdown(["", *tasks], lines),
        )
        for title, key in figures:
            body = [
                [kind, *(f"{np.mean([r['kinds'][kind][key] for r in of[t]]):.3f}" for t in tasks)]
                for kind in kinds
            ]
            section(f"{k} cases of each class: {title}", markdown(["", *tasks], body))


def _mean_max(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({np.max(values):.3f})"


if __name__ == "__main__":
    main()
