"""Scan files in, `Cohort` and `Volume` out. DICOM and NIfTI are read here and nowhere else.

Names are loaded on first use: importing this package imports neither nibabel nor pydicom, and only
`medfs.scans.monai` imports MONAI and torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medfs.scans.cohorts import load_cohort
    from medfs.scans.dicom import read_series
    from medfs.scans.files import find_files
    from medfs.scans.inspect import CaseFinding, inspect_case, inspect_cohort
    from medfs.scans.masks import Roi, read_mask, read_roi
    from medfs.scans.monai import LoadScand, ScanReader
    from medfs.scans.nifti import read_nifti
    from medfs.scans.options import ReadOptions, load_options
    from medfs.scans.read import read_volume
    from medfs.scans.write import write_nifti

__all__ = [
    "CaseFinding",
    "LoadScand",
    "ReadOptions",
    "Roi",
    "ScanReader",
    "find_files",
    "inspect_case",
    "inspect_cohort",
    "load_cohort",
    "load_options",
    "read_mask",
    "read_nifti",
    "read_roi",
    "read_series",
    "read_volume",
    "write_nifti",
]

_HOME = {
    "CaseFinding": "inspect",
    "inspect_case": "inspect",
    "inspect_cohort": "inspect",
    "load_cohort": "cohorts",
    "LoadScand": "monai",
    "ReadOptions": "options",
    "Roi": "masks",
    "ScanReader": "monai",
    "find_files": "files",
    "load_options": "options",
    "read_mask": "masks",
    "read_roi": "masks",
    "read_nifti": "nifti",
    "read_series": "dicom",
    "read_volume": "read",
    "write_nifti": "write",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
