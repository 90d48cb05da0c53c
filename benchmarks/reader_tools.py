"""The readers that `dicom_readers.py` compares, each as folder → volumes (voxels, RAS affine)."""

import importlib.util
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

Image = tuple[np.ndarray, np.ndarray]
Tool = Callable[[Path], list[Image]]

# Folders in which every file is a series of its own.
ONE_FILE_EACH = ("signed_12bit/In", "transfer_syntaxes/In")
_SECONDS = 120


class RefusedError(Exception):
    """A reader's own words for why it gave no volume."""


def available() -> dict[str, Tool]:
    """Readers by the name of their column; those that are not installed are left out."""
    tools: dict[str, Tool] = {"medfs": _medfs, "MONAI PydicomReader": _monai_pydicom}
    if importlib.util.find_spec("itk"):
        tools["MONAI ITKReader"] = _monai_itk
    if importlib.util.find_spec("dcm2niix"):
        tools["dcm2niix"] = _dcm2niix
    return tools


def versions() -> str:
    names = ("monai", "pydicom", "itk", "dcm2niix")
    return ", ".join(f"{n} {version(n)}" for n in names if importlib.util.find_spec(n))


def _medfs(folder: Path) -> list[Image]:
    from medfs.core.errors import UserError
    from medfs.scans import read_volume

    try:
        volume = read_volume(folder)
    except UserError as error:
        if "4D" in error.what:
            return _one_by_one(folder)
        raise RefusedError(error.what) from error
    return [(volume.voxels[0], volume.affine)]


def _one_by_one(folder: Path) -> list[Image]:
    """A 4D series, which medfs reads only when it is told which volume."""
    from medfs.core.errors import UsageError
    from medfs.scans import read_volume
    from medfs.scans.options import ReadOptions

    volumes = []
    try:
        while True:
            volumes.append(read_volume(folder, ReadOptions(volume=len(volumes))))
    except UsageError:  # no volume has this index
        return [(np.stack([v.voxels[0] for v in volumes], axis=-1), volumes[0].affine)]


def _monai_pydicom(folder: Path) -> list[Image]:
    from monai.data import PydicomReader

    return _of_monai(PydicomReader(), folder)


def _monai_itk(folder: Path) -> list[Image]:
    from monai.data import ITKReader

    return _of_monai(ITKReader(), folder)


def _of_monai(reader: Any, folder: Path) -> list[Image]:
    voxels, meta = reader.get_data(reader.read(str(folder)))
    return [(np.asarray(voxels), np.asarray(meta["affine"], float))]


def _dcm2niix(folder: Path) -> list[Image]:
    import dcm2niix

    with tempfile.TemporaryDirectory() as out:
        command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "%s_%e_%t", "-o", out, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        images = [nibabel.load(path) for path in sorted(Path(out).glob("*.nii"))]
        found = [(np.asarray(image.dataobj), np.asarray(image.affine)) for image in images]
    if not found:
        lines = [line for line in done.stdout.splitlines() if line.startswith(("Err", "Warn"))]
        raise RefusedError(lines[0] if lines else f"no volume (exit code {done.returncode})")
    return found
