"""Tasks for `rehearsal.py` and `unmarked_scans.py`: heads from label maps, and hippocampi in MR.

The label maps hold no intensities: an MR is rendered from them, with a mean for each tissue (as in
T1 weighting, moved a little from scan to scan), blur, a smooth bias, noise, and a gain of its own.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medfs.scans.write import write_nifti

# Labels of nuclei of the left side, as FreeSurfer numbers them.
NUCLEI = {"thalamus": 10, "caudate": 11, "putamen": 12, "pallidum": 13, "hippocampus": 17}
# Brightness of tissues, by label; all others have that of muscle and fat in turn.
_TISSUES = {
    110.0: (2, 41, 7, 46, 85),
    105.0: (16,),
    100.0: (13, 52, 28, 60),
    92.0: (10, 49),
    84.0: (12, 51, 26, 58),
    80.0: (11, 50),
    72.0: (3, 42, 8, 47, 17, 53, 18, 54),
    25.0: (4, 5, 14, 15, 24, 43, 44, 72),
    5.0: (0,),
}
_OTHERS = (60.0, 130.0)
_PER_CLASS = 10
# Cubes are 48 mm wide where nothing is marked, and have 8 mm more on each side with a mask.
_HALF, _ROOM, _JITTER = 32, 8, 3
_THICK = 5
_STRIATUM, _CORTEX = (11, 12, 50, 51), (3, 42, 8, 47)
_DEEP = (10, 49, 11, 50, 12, 51, 26, 58, 13, 52, 17, 53, 18, 54)
_PET_SPACING = (2.0, 2.0, 2.0)


@dataclass(frozen=True)
class Cut:
    """One case on its way to disk."""

    name: str
    patient: str
    label: str
    image: NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


def write_case(case: Cut, folder: Path) -> Path:
    """The image of a case as a NIfTI file."""
    path = folder / f"{case.name}.nii.gz"
    write_nifti(path, case.image, np.diag([*case.spacing, 1.0]), "int16")
    return path


def write_tasks(volumes: Path, out: Path) -> list[str]:
    """A folder per task below `out` with support.csv, scans.csv and truth.csv; their names."""
    _write(out / "hippocampus-parts", list(_parts(volumes / "hippocampus")))
    heads = sorted((volumes / "head_label_maps").glob("*.nii.gz"))
    cut = [case for i, head in enumerate(heads) for case in _nuclei(head, i)]
    _write(out / "nuclei-masks", cut)
    bare = [Cut(c.name, c.patient, c.label, _central(c), None) for c in cut]
    _write(out / "nuclei-unmarked", bare)
    _write(out / "nuclei-thick", [_thick(case) for case in cut])
    return ["hippocampus-parts", "nuclei-masks", "nuclei-unmarked", "nuclei-thick"]


def unmarked(heads: Sequence[Path]) -> dict[str, list[Cut]]:
    """Tasks by name in which nothing is marked: five nuclei in MR, and two diffuse ones in PET."""
    found: dict[str, list[Cut]] = {
        "nuclei": [],
        "uptake of the striatum": [],
        "uptake of the cortex": [],
    }
    for number, file in enumerate(heads):
        for case in _nuclei(file, number):
            bare = Cut(case.name, case.patient, case.label, _central(case), None)
            found["nuclei"].append(bare)
        labels = _labels_of(file)
        for i, label in enumerate(("lost", "normal")):
            rng = np.random.default_rng([number, i])
            head = f"head-{number:02d}"
            for task, lost in (("striatum", _lost_striatum), ("cortex", _lost_cortex)):
                uptake = _TRACERS[task](labels, rng)
                if label == "lost":
                    uptake = uptake * (1 - lost(labels, rng))
                cut = Cut(f"{head}-{label}", head, label, _pet(uptake, rng), None, _PET_SPACING)
                found[f"uptake of the {task}"].append(cut)
    return found


def _dopamine(labels: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.float64]:
    """A tracer that is seen in caudate and putamen."""
    uptake = np.where(labels > 0, 0.25, 0.02) * (1 + rng.normal(0, 0.05))
    return np.where(np.isin(labels, _STRIATUM), 1.0 + rng.normal(0, 0.05), uptake)


def _glucose(labels: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.float64]:
    """A tracer that is seen wherever there is grey matter."""
    uptake = np.where(labels > 0, 0.25, 0.02)
    for values, level in (((2, 41), 0.35), (_CORTEX, 1.0), (_DEEP, 1.05)):
        uptake[np.isin(labels, values)] = level * (1 + rng.normal(0, 0.05))
    return uptake


def _lost_striatum(labels: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.float64]:
    """Share lost: putamen before caudate, one side before the other."""
    lost, severity = np.zeros(labels.shape), 0.35 + 0.12 * rng.normal()
    sides = [1.2, 0.7] if rng.integers(2) else [0.7, 1.2]
    for (putamen, caudate), side in zip(((12, 11), (51, 50)), sides, strict=True):
        lost[labels == putamen] = np.clip(1.5 * severity * side, 0, 0.85)
        lost[labels == caudate] = np.clip(0.6 * severity * side, 0, 0.6)
    return lost


def _lost_cortex(labels: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.float64]:
    """Share lost: most at the back of the head, none at the front."""
    cortex = np.isin(labels, _CORTEX[:2])
    along = np.flatnonzero(cortex.any(axis=(0, 2)))
    back = 1 - (np.arange(labels.shape[1]) - along[0]) / (along[-1] - along[0]) / 0.55
    severity = np.clip(0.4 + 0.13 * rng.normal(), 0, 0.8)
    return cortex * np.clip(back, 0, 1)[None, :, None] * severity


def _pet(uptake: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Blurred, on every second voxel, with noise, in units of the scanner's own."""
    blurred = ndimage.gaussian_filter(uptake, 3)[::2, ::2, ::2]
    noisy = (blurred + rng.normal(0, 0.04, size=blurred.shape)).clip(0)
    return (noisy * rng.uniform(2000, 8000)).astype(np.float32)


def _labels_of(file: Path) -> NDArray[np.int16]:
    stored = nibabel.as_closest_canonical(nibabel.load(file))
    return np.asarray(stored.dataobj).astype(np.int16)


def _parts(folder: Path) -> Iterator[Cut]:
    """Front or back part of a real hippocampus; a scan is in one class only."""
    files = sorted((folder / "images").glob("*.nii.gz"))[: 6 * _PER_CLASS]
    for i, file in enumerate(files):
        image = np.asarray(nibabel.load(file).dataobj, dtype=np.float32)
        image *= 1000 / image.max()  # some are stored with values beyond 16 bits
        parts = np.asarray(nibabel.load(folder / "labels" / file.name).dataobj)
        which = i % 2
        label = ("anterior", "posterior")[which]
        yield Cut(file.name[:-7], file.name[:-7], label, image, parts == which + 1)


def _nuclei(file: Path, number: int) -> Iterator[Cut]:
    """Every nucleus of a head, in a cube around a place near its middle."""
    labels = _labels_of(file)
    places = ndimage.find_objects(labels)
    for nucleus, value in NUCLEI.items():
        rng = np.random.default_rng([number, value])
        middle = np.array([(s.start + s.stop) // 2 for s in places[value - 1]])
        centre = middle + rng.integers(-_JITTER, _JITTER + 1, size=3)
        cube = labels[tuple(slice(c - _HALF, c + _HALF) for c in centre)]
        head = f"head-{number:02d}"
        yield Cut(f"{head}-{nucleus}", head, nucleus, _rendered(cube, rng), cube == value)


def _rendered(labels: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.float32]:
    known = {value: mean for mean, values in _TISSUES.items() for value in values}
    image = np.zeros(labels.shape)
    for value in np.unique(labels):
        mean = known.get(int(value), _OTHERS[int(value) % 2])
        image[labels == value] = mean + rng.normal(0, 4)
    image = ndimage.gaussian_filter(image, 0.7)
    bias = ndimage.zoom(rng.normal(0, 0.08, size=(3, 3, 3)), np.array(labels.shape) / 3, order=1)
    noisy = image * np.exp(bias) + rng.normal(0, 4, size=labels.shape)
    return (noisy.clip(0) * rng.uniform(2, 8)).astype(np.float32)


def _central(case: Cut) -> NDArray[np.float32]:
    return case.image[(slice(_ROOM, -_ROOM),) * 3]


def _thick(case: Cut) -> Cut:
    """Slices of 5 mm, each the mean of five; the mask where most of the five have it."""
    kept = case.image.shape[2] // _THICK * _THICK
    shape = (*case.image.shape[:2], kept // _THICK, _THICK)
    image = case.image[:, :, :kept].reshape(shape).mean(axis=3)
    share = case.mask[:, :, :kept].reshape(shape).mean(axis=3)
    return Cut(case.name, case.patient, case.label, image, share >= 0.5, (1.0, 1.0, float(_THICK)))


def _write(folder: Path, cases: Sequence[Cut]) -> None:
    """The first patients of every class are the support, one case each; all others are scans."""
    (folder / "files").mkdir(parents=True)
    for case in cases:
        affine = np.diag([*case.spacing, 1.0])
        write_nifti(folder / "files" / f"{case.name}.nii.gz", case.image, affine, "int16")
        if case.mask is not None:
            write_nifti(folder / "files" / f"{case.name}_mask.nii.gz", case.mask, affine, "uint8")
    support = _support(cases)
    patients = {case.patient for case in support}
    rest = [case for case in cases if case.patient not in patients]
    _table(folder / "support.csv", support, labelled=True)
    _table(folder / "scans.csv", rest, labelled=False)
    _table(folder / "truth.csv", rest, labelled=True)


def _support(cases: Sequence[Cut]) -> list[Cut]:
    """Of every class the first cases: each is of another patient."""
    taken: dict[str, list[Cut]] = {}
    for case in cases:
        mine = taken.setdefault(case.label, [])
        if len(mine) < _PER_CLASS:
            mine.append(case)
    return [case for mine in taken.values() for case in mine]


def _table(path: Path, cases: Sequence[Cut], labelled: bool) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "image", "mask", "patient", *(["label"] if labelled else [])])
        for case in cases:
            mask = "" if case.mask is None else f"files/{case.name}_mask.nii.gz"
            label = [case.label] if labelled else []
            rows.writerow([case.name, f"files/{case.name}.nii.gz", mask, case.patient, *label])


_TRACERS = {"striatum": _dopamine, "cortex": _glucose}
