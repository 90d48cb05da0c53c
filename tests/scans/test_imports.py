"""What importing costs: validation of a cohort must need neither torch nor MONAI."""

import subprocess
import sys

import pytest


def loaded_after(code):
    script = f"{code}\nimport sys; print(*sorted(m for m in sys.modules if '.' not in m))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_package_is_light():
    found = loaded_after("import medfs.scans")
    assert not found & {"torch", "monai", "nibabel", "pydicom", "numpy", "scipy"}


def test_cohorts_need_no_reader():
    found = loaded_after("from medfs.scans import load_cohort")
    assert not found & {"torch", "monai", "nibabel", "pydicom"}


def test_inspection_needs_no_torch():
    found = loaded_after("from medfs.scans import inspect_cohort, read_mask, write_nifti")
    assert not found & {"torch", "monai"}


def test_unknown_names_and_all():
    import medfs.scans

    assert all(getattr(medfs.scans, name) for name in medfs.scans.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = medfs.scans.nonsense
