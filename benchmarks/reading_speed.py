"""How fast DICOM becomes a volume in RAS order, and how fast an archive is indexed.

    python benchmarks/reading_speed.py [--series DIR ...] [--slices 100] [--files 5000] [--rounds 9]

Everything is run in turn, round by round, on the same files with a warm cache; medians and ratios
are printed. Needs the benchmark extra (SimpleITK, dcm2niix) beside medfs itself.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tables import markdown, progress, section, write_json

Task = Callable[[], object]


def main() -> None:
    args = _arguments()
    warnings.simplefilter("ignore")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for folder in [_simulated(root / "series", args.slices), *args.series]:
            count = sum(1 for _ in folder.iterdir())
            progress(f"reading {folder.name} ({count} files)")
            times = _in_turn(_readers(folder), args.rounds)
            name = "simulated" if folder.parent == root else f"{folder.parent.name}/{folder.name}"
            results[f"{name}, {count} files"] = times
            section(f"A series of {count} files to a volume in memory", _table(times, "medfs"))
        files = root / "archive"
        progress(f"writing {args.files} files to index")
        _write_archive(files, args.files)
        times = _in_turn(_indexers(files), max(3, args.rounds // 3))
        results["index"] = {"files": args.files, **times}
        section(f"Indexing {args.files} files", _rates(times, args.files))
    write_json(args.out, results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=Path, nargs="*", default=[], help="folders of one series")
    parser.add_argument("--slices", type=int, default=100, help="of the simulated CT")
    parser.add_argument("--files", type=int, default=5000, help="to index")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="JSON of all times in seconds")
    return parser.parse_args()


def _in_turn(tasks: dict[str, Task], rounds: int) -> dict[str, list[float]]:
    """Seconds of every task in every round; a first round warms the caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if number:
                times[name].append(time.perf_counter() - started)
    return times


def _table(times: dict[str, list[float]], base: str) -> str:
    one = statistics.median(times[base])
    rows = []
    for name, seconds in times.items():
        ratios = [s / b for s, b in zip(seconds, times[base], strict=True)]
        median = statistics.median(seconds)
        rows.append((name, f"{median * 1e3:.0f}", f"{statistics.median(ratios):.1f}"))
    return markdown(("reader", "ms (median)", f"times {base}'s {one * 1e3:.0f} ms"), rows)


def _rates(times: dict[str, list[float]], files: int) -> str:
    rows = [
        (name, f"{statistics.median(s):.2f}", f"{files / statistics.median(s):,.0f}")
        for name, s in times.items()
    ]
    return markdown(("indexer", "s (median)", "files/s"), rows)


def _readers(folder: Path) -> dict[str, Task]:
    return {
        "medfs": lambda: _medfs(folder),
        "pydicom loop": lambda: _pydicom_loop(folder),
        "SimpleITK": lambda: _simpleitk(folder),
        "dcm2niix process": lambda: _dcm2niix(folder),
        "MONAI PydicomReader": lambda: _monai(folder),
    }


def _medfs(folder: Path) -> object:
    from medfs.scans import read_volume

    return read_volume(folder)


def _pydicom_loop(folder: Path) -> object:
    """The least that a right volume needs with pydicom alone; one thread, no checks."""
    import pydicom

    slices = [pydicom.dcmread(p) for p in folder.iterdir() if p.name != "DIRFILE"]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    stack = [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices]
    return np.stack(stack).astype(np.float32)


def _simpleitk(folder: Path) -> object:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    image = SimpleITK.DICOMOrient(reader.Execute(), "RAS")
    return SimpleITK.GetArrayViewFromImage(image)


def _dcm2niix(folder: Path) -> object:
    import dcm2niix

    with tempfile.TemporaryDirectory() as out:
        call = [dcm2niix.bin, "-b", "n", "-z", "n", "-o", out, str(folder)]
        return subprocess.run(call, capture_output=True, check=False)


def _monai(folder: Path) -> object:
    from monai.data import PydicomReader

    reader = PydicomReader()
    return reader.get_data(reader.read(str(folder)))


def _indexers(folder: Path) -> dict[str, Task]:
    return {
        "medfs": lambda: _index(folder),
        "pydicom, headers only": lambda: _index_with_pydicom(folder),
        "SimpleITK (GDCM series ids)": lambda: _index_with_simpleitk(folder),
    }


def _index(folder: Path) -> object:
    from medfs.scans.dicom.index import index_files
    from medfs.scans.files import find_files

    return index_files(find_files(folder))


def _index_with_pydicom(folder: Path) -> object:
    import pydicom

    wanted = ["SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient"]
    return [
        [pydicom.dcmread(p, stop_before_pixels=True).get(tag) for tag in wanted]
        for p in sorted(folder.rglob("*.dcm"))
    ]


def _index_with_simpleitk(folder: Path) -> object:
    import SimpleITK

    return [SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(p)) for p in folder.iterdir()]


def _simulated(folder: Path, slices: int) -> Path:
    """A CT-like series of 512 × 512 slices."""
    from medfs.scans.write_dicom import write_ct_series

    rng = np.random.default_rng(0)
    grid = np.linspace(-1, 1, 512, dtype=np.float32)
    body = (grid[:, None] ** 2 + grid[None] ** 2 < 0.7) * 1040.0 - 1000.0
    voxels = (body[..., None] + rng.normal(0, 20, (512, 512, slices))).astype(np.int16)
    affine = np.diag([-0.7, -0.7, 1.0, 1.0])
    write_ct_series(folder, voxels, affine, patient="simulated", description="speed")
    return folder


def _write_archive(folder: Path, count: int) -> None:
    """Series of 50 slices whose headers are those of a real CT (pydicom's own example)."""
    import pydicom
    from pydicom.data import get_testdata_file

    example = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    for number in range(count):
        series, k = divmod(number, 50)
        example.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.1.{series + 1}"
        example.SOPInstanceUID = f"{example.SeriesInstanceUID}.{k + 1}"
        example.file_meta.MediaStorageSOPInstanceUID = example.SOPInstanceUID
        example.ImagePositionPatient = [-158.1, -179.0, -75.7 + 2.5 * k]
        example.InstanceNumber = k + 1
        home = folder / f"series-{series:03d}"
        home.mkdir(parents=True, exist_ok=True)
        example.save_as(home / f"{k:03d}.dcm")


if __name__ == "__main__":
    main()
