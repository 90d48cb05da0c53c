"""How long until a NIfTI file is an array in RAS order: medfs, nibabel, SimpleITK.

    python benchmarks/nifti_speed.py --out nifti.json

Simulated scans are written once and read in turn, round by round, from a warm file cache. medfs
also hashes the file and looks for NaN, partly on a second core: on a busy machine that costs time.
Where an axis is stored backwards, nibabel gives a view with negative strides, which torch does not
take; medfs gives an array.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy import ndimage
from tables import markdown, progress, section, write_json

Reader = Callable[[Path], object]


@dataclass(frozen=True)
class Scan:
    """A simulated scan: its values are smooth structures plus noise."""

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    dtype: str
    stored: str
    smooth: float
    noise: float
    lowest: float


_CT = Scan("CT", (512, 512, 100), (0.7, 0.7, 1.25), "int16", "RAS", 400, 12, -1024)
SCANS = (
    _CT,
    replace(_CT, name="CT, rows from right to left", stored="LAS"),
    Scan("MR", (256, 256, 256), (1, 1, 1), "float32", "RAS", 200, 8, 0),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", "--json", type=Path, help="write the numbers as JSON")
    args = parser.parse_args()
    readers = {"medfs": _medfs, "nibabel": _nibabel, "SimpleITK": _simpleitk}
    with tempfile.TemporaryDirectory() as folder:
        files = _write(Path(folder))
        seconds = {what: _time(path, readers, args.rounds) for what, path in files.items()}
        sizes = {what: path.stat().st_size for what, path in files.items()}
    section("NIfTI to an array in RAS order", _table(seconds), f"Median of {args.rounds} rounds.")
    write_json(args.out, {"seconds": seconds, "bytes": sizes, "rounds": args.rounds})


def _write(folder: Path) -> dict[str, Path]:
    """Every scan, packed and plain; not x.nii.gz beside x.nii, since ITK would read x.nii twice."""
    from medfs.scans import write_nifti

    files = {}
    for i, scan in enumerate(SCANS):
        progress(f"writing {scan.name}")
        voxels, affine = _voxels(scan), np.diag([*scan.spacing, 1.0])
        if scan.stored == "LAS":
            affine[0, 0] *= -1
        for suffix in (".nii.gz", ".nii"):
            path = folder / f"{i}{'packed' if suffix.endswith('gz') else 'plain'}{suffix}"
            write_nifti(path, voxels, affine, scan.dtype)
            files[f"{scan.name}, {suffix}"] = path
    return files


def _voxels(scan: Scan) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = ndimage.gaussian_filter(rng.normal(size=[n // 8 + 1 for n in scan.shape]), 2)
    index = np.ogrid[tuple(slice(0, n) for n in scan.shape)]
    smooth = ndimage.zoom(coarse / coarse.std(), 8, order=1)[np.ix_(*(i.ravel() for i in index))]
    values = scan.smooth * smooth + rng.normal(0, scan.noise, scan.shape)
    return np.maximum(values, scan.lowest).astype(scan.dtype)


def _time(path: Path, readers: dict[str, Reader], rounds: int) -> dict[str, float]:
    progress(f"reading {path.name}")
    for read in readers.values():  # what each loads lazily, and the file cache
        read(path)
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            began = time.perf_counter()
            voxels = read(path)
            seconds[name].append(time.perf_counter() - began)
            del voxels
    return {name: median(values) for name, values in seconds.items()}


def _table(seconds: dict[str, dict[str, float]]) -> str:
    rows = []
    for what, times in seconds.items():
        ratios = (f"{times[name] / times['medfs']:.2f}" for name in ("nibabel", "SimpleITK"))
        rows.append([what, *(f"{t * 1000:.0f}" for t in times.values()), *ratios])
    head = ["file", "medfs (ms)", "nibabel", "SimpleITK", "nibabel / medfs", "SimpleITK / medfs"]
    return markdown(head, rows)


def _medfs(path: Path) -> object:
    from medfs.scans import read_nifti

    return read_nifti(path)


def _nibabel(path: Path) -> object:
    import nibabel

    image: Any = nibabel.load(path, mmap=False)  # a memory map would read nothing yet
    return np.asanyarray(nibabel.as_closest_canonical(image).dataobj)


def _simpleitk(path: Path) -> object:
    import SimpleITK as sitk  # noqa: N813 - its usual name

    return sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS")


if __name__ == "__main__":
    main()
